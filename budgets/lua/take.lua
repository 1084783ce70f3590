-- Takes from all token buckets or from none.
--
-- KEYS     the buckets, then the record of refusals; all in the slot of one tenant
-- ARGV     what to do: take, or look (judges and takes nothing); then for each bucket: capacity, refill a minute, how much is wanted
-- Answers  {0} when there was enough; else {number of the bucket, what it has, milliseconds until there is enough,
--          refusals in this second so far, refusals in the second before}
--
-- Levels are thousandths, at the server's own time. More than a bucket ever holds is given when it is full and owed afterwards, so that the
-- average holds and nothing is refused for ever. Numbers stay within what a double holds exactly and what PEXPIRE takes: a script that fails after
-- it has written would leave a debt that never ends.
local MS_MAX = 1e15
local now = redis.call('TIME')
local second = tonumber(now[1])
local ms = second * 1000 + math.floor(tonumber(now[2]) / 1000)
local levels, times = {}, {}
local failed, failed_level, wait = 0, 0, 0
for n = 1, #KEYS - 1 do
  local capacity, wanted = tonumber(ARGV[n * 3 - 1]) * 1000, tonumber(ARGV[n * 3 + 1]) * 1000
  -- What is never refilled has to wait very long.
  local refill = math.max(tonumber(ARGV[n * 3]), 1e-6)
  local known = redis.call('HMGET', KEYS[n], 'level', 'at')
  local level, at = capacity, ms
  if known[1] then
    -- A clock that was set back refills nothing, now or later.
    at = math.max(ms, tonumber(known[2]))
    level = math.min(capacity, tonumber(known[1]) + (at - tonumber(known[2])) * refill / 60)
  end
  local needed = math.min(wanted, capacity)
  if level < needed then
    local missing = math.min(math.ceil((needed - level) * 60 / refill), MS_MAX)
    if missing > wait then
      failed, failed_level, wait = n, level, missing
    end
  end
  levels[n], times[n] = level - wanted, at
end
if failed > 0 then
  local record = KEYS[#KEYS]
  local known = redis.call('HMGET', record, 'second', 'count')
  local count, before = 1, 0
  if known[1] == now[1] then
    count = tonumber(known[2]) + 1
  elseif known[1] then
    before = tonumber(known[2])
  end
  redis.call('HSET', record, 'second', now[1], 'count', count)
  redis.call('EXPIRE', record, 60)
  return {failed, math.floor(failed_level / 1000), wait, count, before}
end
if ARGV[1] == 'take' then
  for n = 1, #KEYS - 1 do
    local capacity, refill = tonumber(ARGV[n * 3 - 1]) * 1000, math.max(tonumber(ARGV[n * 3]), 1e-6)
    redis.call('HSET', KEYS[n], 'level', string.format('%.0f', levels[n]), 'at', string.format('%.0f', times[n]))
    -- When it would be full again nothing need be remembered.
    redis.call('PEXPIRE', KEYS[n], string.format('%.0f', math.min(math.ceil((capacity - levels[n]) * 60 / refill) + 1000, MS_MAX)))
  end
end
return {0}
