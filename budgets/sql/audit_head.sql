-- The tenant's head, and how far its entries really go.
SELECT h.last_seq, coalesce((SELECT max(e.seq) FROM ledger_entry AS e), 0) AS greatest_seq
FROM ledger_head AS h
