-- Lines that end in `&`: what stands before is an expression that a worker evaluates, or statements; or
-- a call of a pool's that waits, which is made as the one that does not.

local _, require = ...

local chunk = require "moonpool.repl_chunk"
local kinds = require "moonpool.kinds"

local submit = {}

local WAITING = { apply = true, map = true, starmap = true }
local CLOSING = { [")"] = "(", ["}"] = "{", ["]"] = "[" }
local OPENING = { ["("] = true, ["{"] = true, ["["] = true }
local BLOCKS = { ["do"] = true, ["for"] = true, ["if"] = true, ["repeat"] = true, ["while"] = true }

--- What stands before the `&` that a line ends in but for comments; nil where it does not.
function submit.background(text)
  local words = chunk.words(text)
  local last = words[#words]
  if last and last.text == "&" and #words > 1 then
    return text:sub(words[1].first, words[#words - 1].last)
  end
end

-- The word that opens what the last one closes.
local function opening(words)
  local depth = 0
  for i = #words, 1, -1 do
    local mark = words[i].kind == "other" and words[i].text
    depth = depth + (CLOSING[mark] and 1 or OPENING[mark] and -1 or 0)
    if depth == 0 then
      return i < #words and i or nil
    end
  end
end

local function is_pool(session, words, i)
  if not chunk.is_variable(words, i) then
    return false
  end
  local name = words[i].text
  local value = chunk.variable(session.scope, name)
  return kinds.of(value) == "Pool" or value == nil and name == "pool"
end

-- `pool:map(...)` as `pool:map_async(...)`; nil where the text ends in no such call.
local function not_waiting(session, text, words)
  local i = opening(words)
  local method = i and words[i - 1]
  local first = i and (i == 4 or words[i - 4] and words[i - 4].text == "=")
  if first and WAITING[method.text] and words[i - 2].text == ":" and is_pool(session, words, i - 3) then
    return text:sub(1, method.last) .. "_async" .. text:sub(method.last + 1)
  end
end

-- Whether it needs a pool, which no worker can have.
local function needs_pool(session, words)
  for i = 1, #words do
    if not chunk.is_set(words, i) and is_pool(session, words, i) then
      return true
    end
  end
  return false
end

-- Whether names are given values by it, which only the worker would have.
local function assigns(words)
  local depth = 0
  if words[1].text == "local" or words[1].text == "function" then
    return true
  end
  for _, word in ipairs(words) do
    local mark = word.kind == "other" and word.text
    depth = depth + (CLOSING[mark] and -1 or OPENING[mark] and 1 or 0)
    if depth == 0 and mark == "=" then
      return not BLOCKS[words[1].text]
    end
  end
  return false
end

local function is_open(pool)
  return kinds.of(pool) == "Pool" and pool.state == "open"
end

-- The one that is named so, where it takes something; else one of the prompt's own.
local function pool_of(session)
  session:want_pool "pool"
  local named = chunk.variable(session.scope, "pool")
  if is_open(named) then
    return named
  elseif not is_open(session.spare) then
    session.spare = session:make_pool()
  end
  return session.spare
end

--- The function that submits `text`, what stands before the `&` of a line; otherwise nil and a message,
--- or nothing where it is not to be understood.
function submit.compile(session, text)
  local words = chunk.words(text)
  local call = not_waiting(session, text, words)
  local f
  if call then
    session:want_pool(text)
    f = chunk.compile(call, session.first, session.scope)
  elseif needs_pool(session, words) then
    return nil, ("stdin:%d: a pool cannot go to a worker; what may stand before & of a pool is one call of its "
      .. "apply, map or starmap"):format(session.first)
  else
    local form
    f, form = chunk.compile_task(text, session.first, session.scope)
    if form == "statements" and assigns(words) then
      return nil, ("stdin:%d: a worker would have that name, and nobody else; write EXPRESSION &, whose result "
        .. "is then _%d"):format(session.first, session.jobs.last + 1)
    end
  end
  if not f then
    return nil
  end
  return function()
    local before = session.jobs.last
    session.jobs.text = text
    if call then
      f()
    else
      pool_of(session):apply_async(f())
    end
    if session.jobs.last > before then
      io.stdout:write(("[%d] %s\n"):format(session.jobs.last, session.jobs:find("job", session.jobs.last):name()))
    end
  end
end

return submit
