"""A tuned model on new documents: answers, facts with spans and confidence, files of rows."""
