-- Changes one tenant's schedule, atomically and by Redis' own clock. Computes what schedule.py computes.
--
-- KEYS[1]: the schedule, a hash.
-- ARGV[1]: place, cut, withdraw, deposit or look; ARGV[2]: its argument, see below.
-- ARGV[3]: seconds between requests at full rate ('' without a limit); ARGV[4]: the time to go by ('' for Redis' own).
-- ARGV[5..]: the constants of schedule.py, in the order of redis_server.CONSTANTS.
-- Returns its answer and the epoch.

local action, argument, step = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]) or 0
local CREDIT, REFUND, REFILL = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local CUT, CLIMB, LOWEST = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local BURST, HOLD, LONGEST_HOLD = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local CALM, HORIZON, QUEUE = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
local MOST_STRIKES, MOST_EPOCHS, LIFE = tonumber(ARGV[17]), tonumber(ARGV[18]), tonumber(ARGV[19])

local names = {'arrival', 'held_until', 'cut_at', 'ceiling', 'strikes', 'epoch', 'credit', 'credit_at'}
local fresh = {-1e6, -1e6, -1e6, 1, 0, 0, CREDIT, -1e6}

local time = redis.call('TIME')
local now = tonumber(ARGV[4]) or (tonumber(time[1]) + tonumber(time[2]) / 1e6)

-- sane()
local kept = redis.call('HMGET', KEYS[1], unpack(names))
local s, sane = {}, true
for i, name in ipairs(names) do
  s[name] = tonumber(kept[i] or '')
  if not s[name] or s[name] ~= s[name] or math.abs(s[name]) == math.huge then sane = false end
end
if sane then
  sane = s.arrival <= now + math.max(HORIZON, QUEUE + BURST * step / LOWEST) and s.held_until <= now + HORIZON
    and math.max(s.cut_at, s.credit_at) <= now + 1 and s.ceiling > 0 and s.ceiling <= 1
    and s.strikes >= 0 and s.strikes <= MOST_STRIKES and s.epoch >= 0 and s.epoch <= MOST_EPOCHS
    and s.credit >= 0 and s.credit <= CREDIT
end
if not sane then
  for i, name in ipairs(names) do s[name] = fresh[i] end
end

-- factor() and _credit()
local plateau = (s.ceiling * (1 - CUT) / CLIMB) ^ (1 / 3)
local climbed = s.ceiling + CLIMB * (math.min(HORIZON, now - s.cut_at) - plateau) ^ 3
local factor = math.min(1, math.max(LOWEST, climbed))
local credit = math.min(CREDIT, s.credit + (now - s.credit_at) * CREDIT / REFILL)

local changed, answer = false, 0
if action == 'place' then -- argument: patience
  local spacing = step / factor
  local arrival = math.max(s.arrival, now)
  answer = math.max(0, arrival - (BURST - 1) * spacing - now, s.held_until - now)
  if answer <= argument then s.arrival, changed = arrival + spacing, true end
elseif action == 'cut' then -- argument: seconds that the server asked for, or ''
  local asked = now + math.min(argument or 0, HORIZON)
  if now < s.held_until then
    if asked > s.held_until then
      s.held_until, s.arrival, s.epoch, changed = asked, asked, s.epoch + 1, true
    end
  else
    if now - s.held_until < CALM then s.strikes = math.min(MOST_STRIKES, s.strikes + 1) else s.strikes = 0 end
    local free_at = math.max(asked, now + math.min(LONGEST_HOLD, HOLD * 2 ^ s.strikes))
    s.arrival, s.held_until, s.ceiling, s.cut_at, s.epoch = free_at, free_at, factor, now, s.epoch + 1
    changed = true
  end
elseif action == 'withdraw' then
  if credit >= 1 then s.credit, s.credit_at, changed, answer = credit - 1, now, true, 1 end
elseif action == 'deposit' then
  s.credit, s.credit_at, changed = math.min(CREDIT, credit + REFUND), now, true
  if s.credit >= CREDIT then answer = 1 end
end

if changed then
  for _, name in ipairs(names) do redis.call('HSET', KEYS[1], name, string.format('%.17g', s[name])) end
  redis.call('PEXPIRE', KEYS[1], LIFE)
end
return {string.format('%.17g', answer), string.format('%.17g', s.epoch)}
