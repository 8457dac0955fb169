"""What features cost, part by part: each adds records to a stage, of which `report` makes a page."""
