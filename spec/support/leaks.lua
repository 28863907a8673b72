-- What a process holds of the system: descriptors, children, names in
-- /dev/shm. A spec takes a snapshot, works, and asks what is left:
--
--   local before = leaks.snapshot()
--   ...
--   assert.equal("", leaks.left(before))
local lfs = require "lfs"

local leaks = {}

local function entries(directory)
  local names = {}
  for name in lfs.dir(directory) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  return names
end

-- Open descriptors of this process (or of `pid`): number -> what it refers to.
function leaks.fds(pid)
  local directory = "/proc/" .. (pid or "self") .. "/fd"
  local fds = {}
  for _, name in ipairs(entries(directory)) do
    -- The descriptor that reads the directory is closed by now.
    local target = lfs.symlinkattributes(directory .. "/" .. name, "target")
    if target then fds[tonumber(name)] = target end
  end
  return fds
end

-- Child processes of this process (or of `pid`), zombies too: pid -> command.
function leaks.children(pid)
  local own = tostring(pid or lfs.symlinkattributes("/proc/self", "target"))
  local children = {}
  for _, task in ipairs(entries("/proc/" .. own .. "/task")) do
    local file = io.open("/proc/" .. own .. "/task/" .. task .. "/children")
    local list = file and file:read("a") or ""
    if file then file:close() end
    for child in list:gmatch("%d+") do
      local comm = io.open("/proc/" .. child .. "/comm")
      children[tonumber(child)] = comm and comm:read("l") or "?"
      if comm then comm:close() end
    end
  end
  return children
end

-- Names in /dev/shm: name -> true.
function leaks.shm()
  local names = {}
  for _, name in ipairs(entries("/dev/shm")) do names[name] = true end
  return names
end

-- Memory that this process (or `pid`) has for itself, in KiB.
function leaks.private_kib(pid)
  local total = 0
  for line in io.lines("/proc/" .. (pid or "self") .. "/smaps_rollup") do
    total = total + (tonumber(line:match("^Private_%a+:%s+(%d+) kB")) or 0)
  end
  return total
end

function leaks.count(set)
  local n = 0
  for _ in pairs(set) do n = n + 1 end
  return n
end

function leaks.snapshot()
  return { fds = leaks.fds(), children = leaks.children(), shm = leaks.shm() }
end

-- What is there now and was not before, one line each; "" when nothing is.
function leaks.left(before)
  local now, lines = leaks.snapshot(), {}
  for kind, set in pairs(now) do
    for name, what in pairs(set) do
      if before[kind][name] == nil then
        lines[#lines + 1] = ("%s: %s (%s)"):format(kind, name, tostring(what))
      end
    end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

return leaks
