-- What files of codec cases get in their table t beside the C functions of
-- codec_state.h.
local t = ...

-- A case: an error in f fails the file, naming the case.
function t.case(name, f)
  local ok, err = xpcall(f, function(e)
    if type(e) == "table" then e = ("%s (path %q)"):format(e[1], e[2]) end
    return debug.traceback(name .. ": " .. tostring(e), 2)
  end)
  if not ok then error(err, 0) end
end

-- Values through the codec and back, functions allowed.
function t.there(...)
  return t.dec("f", assert(t.enc("f", ...)))
end

function t.hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

function t.bytes(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

local function same(a, b, seen)
  if type(a) ~= type(b) or math.type(a) ~= math.type(b) then return false end
  if type(a) == "number" then
    return a ~= a and b ~= b or a == b and (a ~= 0 or 1 / a == 1 / b)
  end
  if type(a) ~= "table" then return a == b end
  if seen[a] then return seen[a] == b end
  seen[a] = b
  for k, v in next, a do
    if not same(v, rawget(b, k), seen) then return false end
  end
  for k in next, b do
    if rawget(a, k) == nil then return false end
  end
  return true
end

-- Equal in value, subtype and structure; table keys are not compared deeply.
function t.same(a, b)
  return same(a, b, {})
end

-- That decoding fails, with a message in which `text` occurs.
function t.refused(flags, bytes, text)
  local ok, err = pcall(t.dec, flags, bytes)
  assert(not ok, "bytes were taken that should be refused: " .. t.hex(bytes:sub(1, 40)))
  assert(type(err) == "table", err)
  assert(err[1]:find(text, 1, true), ("%q is not in %q"):format(text, err[1]))
  return err[1], err[2]
end

-- That encoding the values fails, with this message and this path.
function t.unsent(flags, message, path, ...)
  local bytes, m, p = t.enc(flags, ...)
  assert(bytes == nil, "a value was sent that should not be")
  assert(m == message, ("%q instead of %q"):format(m, message))
  assert(p == path, ("path %q instead of %q"):format(p, path))
end
