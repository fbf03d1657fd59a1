"""`models dashboard`: one page that says where every model stands, built from what AWS has."""
