"""An outcome as a document: JSON and Markdown. Pure: values in, text out."""
