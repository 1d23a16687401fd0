"""What is asked for: settings, presets and files of settings; free of torch."""
