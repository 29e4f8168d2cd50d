"""What an older DropSync hub left: its database in either layout, its token file, its folder of uploads (DS-25)."""
