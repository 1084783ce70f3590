-- Gives back what was taken, or takes what was more than was thought (a negative amount), without asking.
--
-- KEYS  the buckets; ARGV for each: capacity, refill a minute, how much
local MS_MAX = 1e15
local now = redis.call('TIME')
local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
for n = 1, #KEYS do
  local capacity, amount = tonumber(ARGV[n * 3 - 2]) * 1000, tonumber(ARGV[n * 3]) * 1000
  local refill = math.max(tonumber(ARGV[n * 3 - 1]), 1e-6)
  local known = redis.call('HMGET', KEYS[n], 'level', 'at')
  local level, at = capacity, ms
  if known[1] then
    at = math.max(ms, tonumber(known[2]))
    level = math.min(capacity, tonumber(known[1]) + (at - tonumber(known[2])) * refill / 60)
  end
  level = math.min(capacity, level + amount)
  redis.call('HSET', KEYS[n], 'level', string.format('%.0f', level), 'at', string.format('%.0f', at))
  redis.call('PEXPIRE', KEYS[n], string.format('%.0f', math.min(math.max(math.ceil((capacity - level) * 60 / refill), 0) + 1000, MS_MAX)))
end
return 0
