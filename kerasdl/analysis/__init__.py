"""What a person looks at: pictures of how training went and of what a network gets wrong."""
