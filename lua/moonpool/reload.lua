-- Requiring a module afresh, here and in the workers.

local core, require = ...

local crew = require "moonpool.crew"
local errors = require "moonpool.errors"

-- The module loaded anew. What holds the old table sees the new fields in it; the old
-- one stays where the new cannot be loaded.
local function renew(name, load)
  local loaded = package.loaded
  local old = loaded[name]
  loaded[name] = nil
  local ok, new = pcall(load, name)
  if not ok then
    loaded[name] = old
    errors.throw(new)
  end
  if type(old) == "table" and type(new) == "table" and old ~= new then
    core.supplant(new, old)
    loaded[name] = old
    return old
  end
  return new
end

local function reload_failed(err)
  warn("moonpool: reload in a worker: ", tostring(err))
end

--- Requires the module afresh here and in all workers of this process's pools, as soon as
--- each has ended its item; returns the module. Its table stays the same one.
return function(mp, name)
  if type(name) ~= "string" then
    errors.argument("reload", "the argument", "a module's name", name)
  elseif name:match "^moonpool%f[.\0]" then
    errors.raise("argument", "reload: moonpool itself cannot be loaded anew")
  end
  local module = renew(name, _G.require)
  core.forget()
  for _, pool in ipairs(crew.open_pools()) do
    crew.tell(pool, mp.reload, { name }, reload_failed)
    core.note_module(pool.core, name)
  end
  return module
end
