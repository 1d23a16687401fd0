"""What mask families, schedules and sparsifiers must do, and the search for what breaks it."""
