-- What pool:timeline and pool:trace write: all that ran is in it once, whatever it is made of, and
-- a file is there whole or not at all.
local lfs = require "lfs"
local mp = require "moonpool"
local script = require "spec.support.script"

local READ_TRACE = [[
import json, sys
for event in json.load(open(sys.argv[1], encoding="utf-8"))["traceEvents"]:
    if event["ph"] == "X":
        a = event["args"]
        assert event["dur"] >= 0
        if event["cat"] == "tasks":
            assert 0 <= a["busy"] <= event["dur"] + 1
            print("T", event["tid"], a["pid"], a["items"], sep="\t")
            continue
        assert event["ts"] >= 0
        print("X", event["cat"], a["call"], a["item"], a["attempt"], a["outcome"], event["tid"],
              a["pid"], a.get("arguments") or "-", (a.get("message") or "-").replace("\n", " "), sep="\t")
    elif event["ph"] in "MiC":
        print(event["ph"], event["name"], event["tid"], list(event["args"].values())[0], sep="\t")
    else:
        sys.exit("what is this? " + str(event))
]]

local directory

local function path(name) return directory .. "/" .. name end

local function python(source, ...)
  local file = assert(io.open(path "read.py", "w"))
  file:write(source)
  file:close()
  return mp.run({ "python3", path "read.py", ... }, { check = true }).stdout
end

local NAMES = { "kind", "call", "item", "attempt", "outcome", "worker", "pid", "arguments", "message" }

-- The items of a trace, and what else is in it, by letter.
local function read(name)
  local items, others = {}, { M = {}, i = {}, C = {}, T = {} }
  for line in python(READ_TRACE, path(name)):gmatch "[^\n]+" do
    local words = {}
    for word in line:gmatch "[^\t]+" do words[#words + 1] = word end
    if words[1] == "X" then
      local item = {}
      for i, field in ipairs(NAMES) do item[field] = words[i + 1] end
      items[#items + 1] = item
    else
      table.insert(others[words[1]], words)
    end
  end
  return items, others
end

-- How many items have each value of the field.
local function count(items, field)
  local counts = {}
  for _, item in ipairs(items) do counts[item[field]] = (counts[item[field]] or 0) + 1 end
  return counts
end

local function page_data(name)
  local text = script.read(path(name))
  local data = text:match '<script type="application/json" id="data">\n(.-)\n</script>'
  return data, text
end

describe("a timeline", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    lfs.mkdir(directory)
  end)

  after_each(function()
    for name in lfs.dir(directory) do os.remove(path(name)) end
    lfs.rmdir(directory)
  end)

  local function left()
    local names = {}
    for name in lfs.dir(directory) do
      if not name:match "^%.+$" then names[#names + 1] = name end
    end
    table.sort(names)
    return names
  end

  it("has every item of every form once", function()
    do
      local pool <close> = mp.Pool(3)
      pool:trace(path "trace.json")
      local results = pool:map(function(x) return x * x end, mp.range(5000))
      for i = 1, 5000 do assert.equal(i * i, results[i]) end
      pool:map(function(x) return x .. "!" end, { "a", "b", "c" }, 1)
      pool:starmap(function(a, b) return a + b end, { { 1, 2 }, { 3, 4.5 } })
      for i = 1, 40 do pool:apply_async(function(x) return x end, { i }) end
      for i, v in pool:imap(function(x) return x end, mp.range(70)) do assert.equal(i, v) end
      for _ in pool:imap_unordered(function(x) return { x } end, mp.range(30)) do end
      assert.equal(5050, pool:reduce(function(x) return x end, function(a, b) return a + b end, mp.range(100)))
      pool:everywhere(function() end)
    end
    local items, others = read "trace.json"
    local seen = {}
    for _, item in ipairs(items) do
      local name = item.call .. "/" .. item.item
      assert.is_nil(seen[name])
      seen[name] = true
      assert.equal("done", item.outcome)
    end
    assert.same({ map = 5000 + 3 + 2, apply = 40, imap = 70, imap_unordered = 30, reduce = 100,
      everywhere = 3 }, count(items, "kind"))
    assert.is_true(#others.C > 0)
    assert.equal("0", others.C[#others.C][4])
    local threads = {}
    for _, words in ipairs(others.M) do threads[words[3]] = true end
    for _, item in ipairs(items) do assert.is_true(threads[item.worker]) end
  end)

  it("tells what items were given, and how they failed", function()
    do
      local pool <close> = mp.Pool(2)
      pool:trace(path "trace.json")
      pool:map(function(x)
        if x == 4 then error "four" end
        if x == 5 then os.exit(3) end
      end, mp.range(2, 10), { on_error = "collect" })
      pool:map(function() end, mp.linspace(0, 1, 3))
      pool:apply(function() end, { { lr = 0.5, name = "</script>\n\"\xff\u{1F600}" }, "x", nil, 1, n = 4 })
      pool:apply(function() end, { ("long"):rep(1000) })
      pcall(pool.apply, pool, function() mp.sleep(60) end, {}, { timeout = 0.01 })
    end
    local items, others = read "trace.json"
    assert.same({ done = 11 - 3 + 3 + 1, failed = 1, lost = 1, timeout = 1 }, count(items, "outcome"))
    local texts, messages = count(items, "arguments"), count(items, "message")
    for i = 2, 10 do assert.equal(1, texts[tostring(i)]) end
    for _, text in ipairs { "0.0", "0.5", "1.0", "..." } do assert.equal(1, texts[text]) end
    assert.equal(1, texts['{lr = 0.5, name = "</script>\\n\\"\\255\\240\\159\\152\\128"}, "x", nil, 1'])
    local told = 0
    for message in pairs(messages) do told = told + (message:find "four$" and 1 or 0) end
    assert.equal(1, told)
    assert.equal(1, #others.i)
    assert.equal("left with exit code 3", others.i[1][2])
  end)

  it("has each attempt, and the workers that came one after another", function()
    do
      local pool <close> = mp.Pool { processes = 2, maxtasksperchild = 5 }
      pool:trace(path "trace.json")
      pool:map(function(x) if x % 10 == 0 then error "ten" end end, mp.range(40),
        { retries = 2, on_error = "collect" })
    end
    local items = read "trace.json"
    assert.same({ done = 36, failed = 12 }, count(items, "outcome"))
    assert.same({ ["1"] = 40, ["2"] = 4, ["3"] = 4 }, count(items, "attempt"))
    local most = 0
    for _, n in pairs(count(items, "pid")) do most = math.max(most, n) end
    assert.is_true(most <= 5)
  end)

  it("is a page of one file, whatever texts are in it", function()
    do
      local pool <close> = mp.Pool(2)
      pool:timeline(path "page.html")
      pool:map(function(s) error(s) end, { "</script><script>alert(1)</script>", "<!--", "\xff\0&" },
        { on_error = "collect" })
    end
    local data, text = page_data "page.html"
    assert.is_nil(data:find "[<>&]")
    assert.is_nil(data:find "%c")
    local _, scripts = text:gsub("<script", "")
    local _, ends = text:gsub("</script>", "")
    assert.equal(2, scripts)
    assert.equal(2, ends)
    assert.is_nil(text:find "https?:")
    assert.is_nil(text:find "%ssrc=")
    assert.is_true(text:match "</html>\n$" ~= nil)
    python([[
import json, sys
d = json.loads(sys.argv[1])
assert d["items"] == 3 and d["cut"] == 0
assert '"</script><script>alert(1)</script>"' in d["arguments"][1], d["arguments"]
assert any("alert" in m for m in d["messages"][1]), d["messages"]
]], data)
  end)

  it("is written at once, and again at the end, where something was recorded before", function()
    local pool = mp.Pool(2)
    pool:timeline(path "page.html")
    assert.same({}, left())
    pool:map(function(x) return x end, mp.range(10))
    pool:trace(path "trace.json")
    assert.same({ "trace.json" }, left())
    assert.equal(10, #read "trace.json")
    pool:map(function(x) return x end, mp.range(20))
    pool:close()
    pool:join()
    assert.equal(30, #read "trace.json")
    pool:trace(path "later.json")
    assert.equal(30, #read "later.json")
    assert.same({ "later.json", "page.html", "read.py", "trace.json" }, left())
  end)

  it("is there when the pool is terminated, or its block is left by an error", function()
    local pool = mp.Pool(2)
    pool:trace(path "trace.json")
    pool:map(function(x) return x end, mp.range(10))
    pool:apply_async(mp.sleep, { 60 })
    pool:terminate()
    assert.equal(10, count(read "trace.json", "outcome").done)
    pool:join()
    assert.equal(10, count(read "trace.json", "outcome").done)
    os.remove(path "trace.json")
    pcall(function()
      local other <close> = mp.Pool(2)
      other:trace(path "trace.json")
      other:map(function(x) return x end, mp.range(7))
      error "left"
    end)
    assert.equal(7, #read "trace.json")
  end)

  it("is there when the pool is collected", function()
    script.output(([[
      warn "@off"
      local pool = mp.Pool(2)
      pool:trace(%q)
      pool:map(function(x) return x end, mp.range(9))
      pool = nil
      collectgarbage() collectgarbage()
    ]]):format(path "trace.json"))
    assert.equal(9, #read "trace.json")
    os.remove(path "trace.json")
    script.run(([[
      warn "@off"
      pool = mp.Pool(2)
      pool:trace(%q)
      pool:map(function(x) return x end, mp.range(8))
    ]]):format(path "trace.json"))
    assert.equal(8, #read "trace.json")
  end)

  local function sum(tasks)
    local n = 0
    for _, words in ipairs(tasks) do n = n + words[4] end
    return n
  end

  it("has the tasks of what was done before, and no item of that", function()
    local pool <close> = mp.Pool(2)
    pool:map(function(x) return x end, mp.range(10))
    local items, others
    repeat -- a task ends behind its last result
      pool:trace(path "trace.json")
      items, others = read "trace.json"
    until sum(others.T) == 10
    assert.equal(0, #items)
    pool:map(function(x) return x end, mp.range(4))
    pool:close()
    pool:join()
    items, others = read "trace.json"
    assert.equal(4, #items)
    assert.equal(10, sum(others.T))
  end)

  it("has the tasks of a pool that has ended", function()
    local pool = mp.Pool(3)
    pool:map(function(x) return x end, mp.range(20000), 1)
    pool:close()
    pool:join()
    pool:trace(path "trace.json")
    local items, others = read "trace.json"
    assert.equal(0, #items)
    assert.equal(20000, sum(others.T))
    assert.is_true(#others.T <= 3 * 118)
  end)

  it("is refused where it cannot be", function()
    local pool <close> = mp.Pool(1)
    for _, wrong in ipairs { 1, true, "" } do
      local ok, err = pcall(pool.timeline, pool, wrong)
      assert.is_false(ok)
      assert.equal("argument", err.kind)
    end
    local ok, err = pcall(pool.timeline, pool, directory .. "/none/page.html")
    assert.is_false(ok)
    assert.equal("system", err.kind)
    assert.equal(2, err.errno)
    assert.is_truthy(err.message:find("none", 1, true))
    ok, err = pcall(pool.trace)
    assert.is_false(ok)
    assert.equal("argument", err.kind)
  end)

  it("is an error of join where it cannot be written in the end, and nothing is left of it", function()
    local pool = mp.Pool(1)
    pool:timeline(path "page.html")
    pool:apply(function() end)
    lfs.mkdir(path "page.html")
    pool:close()
    local ok, err = pcall(pool.join, pool)
    assert.is_false(ok)
    assert.equal("system", err.kind)
    assert.is_true(pool:join())
    lfs.rmdir(path "page.html")
    assert.same({}, left())
  end)

  it("belongs to the process that made the pool #fork", function()
    local pool <close> = mp.Pool(1)
    pool:timeline(path "page.html")
    pool:apply(function() end)
    local process = mp.Process { target = function()
      local ok, err = pcall(pool.timeline, pool, "x.html")
      os.exit(not ok and err.kind == "closed" and 7 or 1)
    end }
    process:start()
    process:join()
    assert.equal(7, process.exitcode)
    assert.same({}, left())
  end)
end)
