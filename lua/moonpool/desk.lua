-- What the prompt of this process wants to hear of pools: which calls are submitted, what their tasks
-- say. Nobody listens while there is no prompt, and none of it is for forks of the process.

local core = ...

local desk = {
  submitted = nil, -- function(pool, name, result, waited, began): of calls; those that are waited for
                   -- at once; when they began, if not just now
}

local sink, home

--- From now on `submitted` hears of calls, and `output(line, index, worker, result or nil)` of what
--- tasks of pools print that are made from now on and have no function of their own; nil: no longer.
function desk.open(submitted, output)
  desk.submitted, sink, home = submitted, output, core.pid()
end

--- What a new pool's tasks print goes there; nil: where it always goes.
function desk.output()
  return home == core.pid() and sink or nil
end

--- Whether this process has the prompt.
function desk.is_here()
  return home == core.pid()
end

return desk
