-- Sets each key if its guard allows it; answers 1 or 0 for each.
-- ARGV holds three for each key: guard, value, expiry in ms (0: none). The guard is
--   'free'       always
--   'not older'  unless the stored value is of the same version and fingerprint and is newer
--   8 bytes      if the stored state has this revision, or 0 where none is stored
-- Places in a stored value, from 1: version 1, fingerprint 2-9, event time 10-17, revision 18-25.

-- Signed 64 bits, little endian, compared from the top: a Lua number would lose the lowest bits.
local function newer(a, b)
  for i = 17, 10, -1 do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then
      if i == 17 then x, y = (x + 128) % 256, (y + 128) % 256 end
      return x > y
    end
  end
  return false
end

local function allows(guard, stored, value)
  if guard == 'free' then return true end
  if guard == 'not older' then
    local comparable = #stored >= 17 and #value >= 17 and stored:sub(1, 9) == value:sub(1, 9)
    return not (comparable and newer(stored, value))
  end
  local revision = '\0\0\0\0\0\0\0\0'
  if #stored >= 25 and stored:byte(1) == 2 then revision = stored:sub(18, 25) end
  return revision == guard
end

local done = {}
for i, key in ipairs(KEYS) do
  local guard, value, expiry = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  if allows(guard, redis.call('GETRANGE', key, 0, 24), value) then
    if expiry == '0' then
      redis.call('SET', key, value)
    else
      redis.call('SET', key, value, 'PX', expiry)
    end
    done[i] = 1
  else
    done[i] = 0
  end
end
return done
