#!/bin/sh
# Hold 5 cents, book 3, see what is left. Needs API_URL and ACME_API_KEY: set -a; . var/demo.env; set +a
set -eu

ask() {
  path=$1
  shift
  curl -sS --fail-with-body "$API_URL/v1/$path" \
    -H "X-Cycles-API-Key: $ACME_API_KEY" -H "Content-Type: application/json" "$@"
  echo
}

# The name of this call: whoever repeats it gets the same answer again, and pays once.
call=shell-$(date +%s)-$$

held=$(ask reservations -d '{"idempotency_key": "'"$call"'",
  "subject": {"tenant": "acme", "workspace": "prod", "agent": "support"},
  "action": {"kind": "llm.completion", "name": "gpt-4o-mini"},
  "estimate": {"unit": "USD_MICROCENTS", "amount": 5000000}}') || { echo "$held"; exit 1; }
id=$(echo "$held" | sed 's/.*"reservation_id":"\([^"]*\)".*/\1/')

# Here the model is called.

ask "reservations/$id/commit" -d '{"idempotency_key": "'"$call"'",
  "actual": {"unit": "USD_MICROCENTS", "amount": 3000000}}'
ask "balances?tenant=acme&workspace=prod&agent=support"
