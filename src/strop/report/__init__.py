"""An outcome as a document: JSON, Markdown and a page. Pure: values in, text out."""
