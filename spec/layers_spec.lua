-- Who may call whom: reads the includes and requires of all sources and fails
-- on an arrow that points upward or sideways, on a circle, on Lua's headers
-- where they do not belong, on a file grown too long, and on a name that the
-- libraries export without its being in support/exports.txt.
local lfs = require "lfs"

local MAX_LINES = 600

-- Each room and the rooms below it that it may call.
local below = {
  base = {},
  shm = { "base" },
  process = { "base" },
  codec = { "base" },
  pool = { "shm", "process", "base" },
  journal = { "codec", "base" },
  host = { "pool", "process", "base" },
  lua = { "host", "pool", "journal", "codec", "shm", "process", "base" },
  cli = { "lua", "base" },
}

-- Of the codec, these know bytes only; its other files know Lua.
local codec_without_lua = { "^head", "^proto_scan", "^proto_mask" }

local function walk(directory, found)
  found = found or {}
  for name in lfs.dir(directory) do
    local path = directory .. "/" .. name
    local mode = lfs.attributes(path, "mode")
    if mode == "directory" and not name:match("^%.") then
      walk(path, found)
    elseif mode == "file" then
      found[#found + 1] = path
    end
  end
  table.sort(found)
  return found
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local function files(directory, ending)
  local found = {}
  for _, path in ipairs(lfs.attributes(directory) and walk(directory) or {}) do
    if path:match(ending) then found[path] = read(path) end
  end
  return found
end

-- The paths below src/ that a C text includes.
local function includes(text)
  local found = {}
  for path in ("\n" .. text):gmatch('\n%s*#%s*include%s*"([^"]+)"') do found[#found + 1] = path end
  return found
end

local function room_of(path) return path:match("^([%w_]+)/") end

local function may_call(from, to)
  if from == to then return true end
  for _, room in ipairs(below[from] or {}) do
    if room == to then return true end
  end
  return false
end

-- Arrows between rooms that must not be; `sources` maps src/ paths to texts.
local function wrong_arrows(sources)
  local wrong = {}
  for path, text in pairs(sources) do
    local file = path:gsub("^src/", "")
    local from = room_of(file)
    for _, target in ipairs(includes(text)) do
      local to = room_of(target)
      if from and to and not may_call(from, to) then
        wrong[#wrong + 1] = file .. " -> " .. target
      elseif from and not to and not target:match("^moonpool") then
        wrong[#wrong + 1] = file .. " -> " .. target .. " (write it from src/)"
      end
    end
  end
  table.sort(wrong)
  return wrong
end

local function is_public_header(file) return not file:find("/") end

local function may_include_lua(file)
  local room, name = file:match("^(%w+)/(.+)$")
  if is_public_header(file) then return file == "moonpool_lua.h" end
  if room == "lua" or room == "cli" then return true end
  if room ~= "codec" then return false end
  for _, pattern in ipairs(codec_without_lua) do
    if name:match(pattern) then return false end
  end
  return true
end

-- Files that see Lua's headers, themselves or by what they include.
local function wrong_lua(sources)
  local wrong = {}
  local function sees(file, visited)
    local text = sources["src/" .. file]
    if not text or visited[file] then return false end
    visited[file] = true
    if text:match('#%s*include%s*[<"]l[ua][ua]%w*%.h[>"]') then return true end
    for _, target in ipairs(includes(text)) do
      if sees(target, visited) then return true end
    end
    return false
  end
  for path in pairs(sources) do
    local file = path:gsub("^src/", "")
    if not may_include_lua(file) and sees(file, {}) then wrong[#wrong + 1] = file end
  end
  table.sort(wrong)
  return wrong
end

-- Circles in a graph {node -> list of nodes}, each as the path that closes it.
local function circles(graph)
  local state, found = {}, {}
  local function visit(node, path)
    state[node] = "open"
    path[#path + 1] = node
    for _, target in ipairs(graph[node] or {}) do
      if state[target] == "open" then
        found[#found + 1] = table.concat(path, " -> ") .. " -> " .. target
      elseif not state[target] then
        visit(target, path)
      end
    end
    path[#path] = nil
    state[node] = "done"
  end
  local nodes = {}
  for node in pairs(graph) do nodes[#nodes + 1] = node end
  table.sort(nodes)
  for _, node in ipairs(nodes) do
    if not state[node] then visit(node, {}) end
  end
  return found
end

-- Circles are looked for among headers, and among modules (a .c file and its
-- header) by what the .c files include: a header includes for types' sake.
local function include_graphs(sources)
  local headers, modules = {}, {}
  for path, text in pairs(sources) do
    local file = path:gsub("^src/", "")
    local stem, kind = file:match("^(.*)%.([ch])$")
    local graph = kind == "h" and headers or modules
    graph[stem] = {}
    for _, target in ipairs(includes(text)) do
      local other = target:gsub("%.[ch]$", "")
      if kind == "h" or other ~= stem then table.insert(graph[stem], other) end
    end
  end
  return headers, modules
end

local function require_graph(sources)
  local graph = {}
  for path, text in pairs(sources) do
    local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    graph[name] = {}
    for target in ("\n" .. text):gmatch('\nlocal%s[^\n]-require%s*%(?%s*["\']([%w_.]+)["\']') do
      table.insert(graph[name], target)
    end
  end
  return graph
end

local function long_files(sources)
  local long = {}
  for path, text in pairs(sources) do
    local _, lines = text:gsub("\n", "")
    if lines > MAX_LINES then long[#long + 1] = path .. ": " .. lines end
  end
  table.sort(long)
  return long
end

local function export_patterns()
  local patterns = {}
  for line in io.lines("spec/support/exports.txt") do
    if line ~= "" and not line:match("^#") then
      patterns[#patterns + 1] = "^" .. line:gsub("%*", "[%%w_]*") .. "$"
    end
  end
  return patterns
end

-- The names that a built library exports and the list does not hold.
local function unlisted_exports(library, patterns)
  local unlisted = {}
  local nm = assert(io.popen("nm -D --defined-only " .. library))
  for line in nm:lines() do
    local name, listed = line:match("(%S+)$"), false
    for _, pattern in ipairs(patterns) do listed = listed or name:match(pattern) ~= nil end
    if not listed then unlisted[#unlisted + 1] = name end
  end
  assert(nm:close())
  return unlisted
end

describe("the layers", function()
  local c = files("src", "%.[ch]$")
  local lua = files("lua", "%.lua$")

  it("have sources to look at", function()
    assert.is_truthy(c["src/base/error.c"])
  end)

  it("know every room", function()
    local unknown = {}
    for path in pairs(c) do
      local room = room_of((path:gsub("^src/", "")))
      if room and not below[room] then unknown[#unknown + 1] = path end
    end
    assert.same({}, unknown)
  end)

  it("call downward only", function() assert.same({}, wrong_arrows(c)) end)

  it("keep Lua in the rooms that know it", function() assert.same({}, wrong_lua(c)) end)

  it("have no circle among headers and C files", function()
    local headers, modules = include_graphs(c)
    assert.same({}, circles(headers))
    assert.same({}, circles(modules))
  end)

  it("have no circle among Lua modules", function()
    assert.same({}, circles(require_graph(lua)))
  end)

  it("have no file of more than " .. MAX_LINES .. " lines", function()
    assert.same({}, long_files(c))
    assert.same({}, long_files(lua))
    assert.same({}, long_files(files("spec", "%.[chlu]+a?$")))
  end)

  it("export what is listed and nothing else", function()
    local build, patterns = os.getenv("MOONPOOL_BUILD"), export_patterns()
    assert.same({}, unlisted_exports(build .. "/moonpool.so", patterns))
    assert.same({}, unlisted_exports(build .. "/libmoonpool.so", patterns))
    assert.same({}, unlisted_exports(build .. "/libmoonpool_lua.so", patterns))
  end)
end)

describe("the judgement of the layers", function()
  it("sees upward and sideways arrows, and includes not written from src/", function()
    assert.same({ "base/a.h -> shm/b.h" }, wrong_arrows { ["src/base/a.h"] = '#include "shm/b.h"\n' })
    assert.same({ "codec/a.c -> shm/b.h" }, wrong_arrows { ["src/codec/a.c"] = '\n#include "shm/b.h"' })
    assert.same({ "pool/a.c -> codec/b.h" }, wrong_arrows { ["src/pool/a.c"] = '#include "codec/b.h"' })
    assert.same({ "shm/a.c -> a.h (write it from src/)" }, wrong_arrows { ["src/shm/a.c"] = '#include "a.h"' })
    assert.same({}, wrong_arrows { ["src/pool/a.c"] = '#include "shm/b.h"\n#include "pool/c.h"' })
  end)

  it("sees Lua where it must not be, through other headers too", function()
    assert.same({ "shm/a.c" }, wrong_lua { ["src/shm/a.c"] = "#include <lua.h>" })
    assert.same({ "codec/head.c" }, wrong_lua { ["src/codec/head.c"] = "#include <lauxlib.h>" })
    assert.same({ "pool/a.c" }, wrong_lua {
      ["src/pool/a.c"] = '#include "lua/b.h"',
      ["src/lua/b.h"] = "#include <lua.h>",
    })
    assert.same({}, wrong_lua { ["src/codec/encode_values.c"] = "#include <lua.h>" })
  end)

  it("sees circles", function()
    assert.same({ "a -> b -> a" }, circles { a = { "b" }, b = { "a" } })
    assert.same({}, circles { a = { "b", "c" }, b = { "c" }, c = {} })
    local headers = include_graphs {
      ["src/shm/a.h"] = '#include "shm/b.h"',
      ["src/shm/b.h"] = '#include "shm/a.h"',
    }
    assert.equal(1, #circles(headers))
    local _, modules = include_graphs {
      ["src/shm/a.c"] = '#include "shm/a.h"\n#include "shm/b.h"',
      ["src/shm/b.c"] = '#include "shm/b.h"\n#include "shm/a.h"',
    }
    assert.equal(1, #circles(modules))
    assert.equal(1, #circles(require_graph {
      ["lua/moonpool/init.lua"] = 'local pool = require "moonpool.pool"\n',
      ["lua/moonpool/pool.lua"] = 'local mp = require("moonpool")\n',
    }))
  end)

  it("sees exports that are not listed", function()
    local build = os.getenv("MOONPOOL_BUILD")
    assert.is_true(#unlisted_exports(build .. "/moonpool.so", { "^nothing$" }) > 0)
  end)
end)
