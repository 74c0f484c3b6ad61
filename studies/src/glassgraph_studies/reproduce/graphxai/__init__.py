"""GraphXAI's accuracy and faithfulness of explanations of benzene rings."""
