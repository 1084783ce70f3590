-- A provider's capacity, shared among tenants by weight. What one leaves unused another may borrow.
--
-- KEYS     what each tenant used of the pool in this minute, in the minute before, and the weights; one pool is one slot
-- ARGV     what to do: look or use; the tenant; its weight; requests and tokens wanted; requests and tokens the pool has a minute
-- Answers  1 when there is room for the tenant, 0 when the pool is full for it
--
-- A tenant has its share of what all that are active have: its weight by the sum of theirs. Above its share it may borrow what is left when
-- all others have what they still may want in this minute: as much as in the minute before, within their shares. So what was lent is given
-- back at the turn of the minute. While the pool is half empty nobody is counted. Used is what was let through, whoever it was.
local tenant, weight = ARGV[2], tonumber(ARGV[3])
local wanted = {tonumber(ARGV[4]), tonumber(ARGV[5])}
local limits = {tonumber(ARGV[6]), tonumber(ARGV[7])}
local names = {'r', 't'}

if ARGV[1] == 'use' then
  for n = 1, 2 do
    redis.call('HINCRBY', KEYS[1], names[n] .. ':' .. tenant, wanted[n])
    redis.call('HINCRBY', KEYS[1], names[n], wanted[n])
  end
  redis.call('HSET', KEYS[3], tenant, weight)
  redis.call('EXPIRE', KEYS[1], 150)
  redis.call('EXPIRE', KEYS[3], 3600)
  return 1
end

for n = 1, 2 do
  local total = tonumber(redis.call('HGET', KEYS[1], names[n]) or 0)
  if limits[n] > 0 and total + wanted[n] > limits[n] then
    return 0
  end
  if limits[n] > 0 and total + wanted[n] > limits[n] / 2 then
    local now, before = {}, {}
    for which, key in ipairs({KEYS[1], KEYS[2]}) do
      local all = redis.call('HGETALL', key)
      for i = 1, #all, 2 do
        local who = string.match(all[i], '^' .. names[n] .. ':(.+)$')
        if who then
          if which == 1 then now[who] = tonumber(all[i + 1]) else before[who] = tonumber(all[i + 1]) end
        end
      end
    end
    local weights, sum = {}, weight
    local known = redis.call('HGETALL', KEYS[3])
    for i = 1, #known, 2 do
      local who = known[i]
      if who ~= tenant and (now[who] or before[who]) then
        weights[who] = tonumber(known[i + 1])
        sum = sum + weights[who]
      end
    end
    local used = now[tenant] or 0
    if used + wanted[n] > limits[n] * weight / sum then
      local kept = 0
      for who, their_weight in pairs(weights) do
        local share = limits[n] * their_weight / sum
        kept = kept + math.max(math.min(share, before[who] or 0) - (now[who] or 0), 0)
      end
      if total + wanted[n] + kept > limits[n] then
        return 0
      end
    end
  end
end
return 1
