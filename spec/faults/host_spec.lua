-- timeout: 120
-- The host dies, ends without a word, or is told to end: no worker outlives it by a second,
-- whatever it is doing.
local fault = require "spec.support.fault"
local script = require "spec.support.script"

-- Each worker notes its pid and goes on with `work`; then the script does `ending`. Gives the run
-- and the seconds from the ending until all of them were gone.
local function ends(work, ending, options)
  local notes = script.temporary()
  options = options or {}
  options.args = { notes }
  local r = script.run(([[
    local notes = arg[1]
    local function begin()
      local file <close> = io.open(notes, "a")
      file:write(mp.getpid(), "\n")
    end
    local function lines()
      local n = 0
      for _ in io.lines(notes) do n = n + 1 end
      return n
    end
    local pool = mp.Pool(3)
    for _ = 1, 3 do pool:apply_async(function() begin() %s end) end
    while lines() < 3 do mp.sleep(0.005) end
    mp.sleep(0.05)
    local file = io.open(notes, "a")
    file:write(("%%.6f\n"):format(mp.monotonic()))
    file:close()
    %s
  ]]):format(work, ending):gsub("\n", " "), options)
  local mp = require "moonpool"
  local pids, began = {}, 0
  for line in io.lines(notes) do
    if line:find("%.") then began = tonumber(line) else pids[#pids + 1] = tonumber(line) end
  end
  os.remove(notes)
  assert.equal(3, #pids)
  assert.is_true(script.gone(pids, 10))
  local took = mp.monotonic() - began
  assert.is_true(script.left_nothing(r))
  return r, took
end

local WORKS = {
  ["that are idle"] = "",
  ["in a loop without end"] = "while true do end",
  ["in a loop that catches all errors"] = "while true do pcall(error) end",
  ["in a long C call"] = 'require "spec.signals".sleep(1000)',
  ["in a long C call with all signals blocked"] =
    'require "spec.signals".block() require "spec.signals".sleep(1000)',
  ["in a pool of their own"] = "mp.Pool(2):map(function() while true do end end, { 1, 2 })",
  ["that are stopped"] = 'os.execute("kill -STOP $PPID")',
  ["with another pool's files inherited"] = "local other = mp.Pool(2) other:map(math.abs, { 1, 2 }) while true do end",
}

describe("SIGKILL of the host ends workers", function()
  for title, work in pairs(WORKS) do
    it(title, function()
      local r, took = ends(work, 'os.execute("kill -9 " .. mp.getpid()) while true do end')
      assert.equal(9, r.signal)
      -- The promise is a second; the machine may be busy.
      assert.is_true(took < 5, took)
    end)
  end
end)

script.each_program(function(program)
  describe("a script of " .. program .. " that leaves without closing its pools", function()
    for title, ending in pairs {
      ["by os.exit"] = "os.exit(0)",
      ["by os.exit in a coroutine"] = "coroutine.wrap(function() os.exit(0) end)()",
      ["by _exit"] = 'require "spec.crash".quit(0)',
    } do
      it(title .. " takes its workers along, without a word", function()
        local r = ends("while true do end", ending, { program = program })
        assert.same({ 0, "", "" }, { r.code, r.output, r.errors })
      end)
    end

    it("by its end takes its workers along, and is warned where warnings are on", function()
      local r = ends("while true do end", "warn('@on')", { program = program })
      assert.equal(0, r.code)
      assert.matches("collected without close", r.errors)
      r = ends("while true do end", "os.exit(0, true)", { program = program })
      assert.equal(0, r.code)
    end)

    it("by an error takes its workers along, and says the error", function()
      local r = ends("while true do end", "error('mine')", { program = program })
      assert.equal(1, r.code)
      assert.matches("mine", r.errors)
    end)
  end)
end)

describe("SIGTERM of moonpool", function()
  for title, place in pairs {
    ["in map"] = "pool:map(mp.sleep, { 100 })",
    ["in a loop"] = "while true do end",
    ["in a system call"] = 'require "spec.signals".sleep(1000)',
  } do
    it(title .. " ends it by that signal, and leaves no orphan", function()
      local r = ends("while true do end",
        ([[os.execute("(sleep 0.2; kill -TERM " .. mp.getpid() .. ") >/dev/null 2>&1 &") %s]]):format(place))
      assert.equal(15, r.signal)
    end)
  end
end)

describe("a job that is stopped and goes on", function()
  it("loses nothing", function()
    fault.says("200\n", [[
      account.pool(3, function(pool)
        local sleep, pids = mp.sleep, account.workers(pool)
        local nursery = account.parent(pids[1])
        local job = table.concat(pids, " ") .. " " .. nursery .. " " .. mp.getpid()
        local pending = pool:map_async(function(i)
          sleep(0.005)
          return i
        end, mp.range(200), { chunksize = 3 })
        -- Who stops the job is not of it.
        os.execute(("(sleep 0.1; kill -STOP %s; sleep 0.5; kill -CONT %s) >/dev/null 2>&1 &"):format(job, job))
        local results = pending:get()
        for i = 1, 200 do assert(results[i] == i) end
        print(results.n)
        return 0
      end)
    ]])
  end)
end)
