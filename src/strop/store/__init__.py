"""What Strop keeps on disk. *Present* means *complete*: everything is written aside, synced, then renamed."""
