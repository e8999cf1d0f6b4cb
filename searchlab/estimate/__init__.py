"""The prediction behind `searchlab plan`: time, memory and trials per group."""
