"""What a sweep will take, told before anything is spent."""
