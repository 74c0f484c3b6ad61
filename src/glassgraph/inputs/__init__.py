"""What a user gives: graphs, tasks, predictions and labels; cut to fields, and packed."""
