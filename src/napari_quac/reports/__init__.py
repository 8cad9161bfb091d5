"""What is made of many explanations, and how they are judged."""
