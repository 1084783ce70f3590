"""Reading what others wrote down of calls: providers' invoices and agents' session logs. No database, no network."""
