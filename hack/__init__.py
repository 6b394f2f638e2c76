"""What developers, teachers and CI run. Nothing of it is shipped."""
