-- timeout: 120
local mp = require "moonpool"
local script = require "spec.support.script"
local tmux = require "spec.support.tmux"

local PROGRAM = script.PROGRAMS.moonpool

-- What the program says, and its exit code.
local function moonpool(words, under)
  local output, errors = os.tmpname(), os.tmpname()
  local _, _, code = os.execute(("%s %s %s >%s 2>%s </dev/null"):format(under or "", PROGRAM, words,
    output, errors))
  local said, told = script.read(output), script.read(errors)
  os.remove(output)
  os.remove(errors)
  return said, told, code
end

local function json(pid)
  local said, told, code = moonpool("top --json " .. (pid or ""))
  assert.equal(0, code, told)
  local path = os.tmpname()
  local file = io.open(path .. ".json", "w")
  file:write(said)
  file:close()
  local view = mp.load(path .. ".json")
  os.remove(path .. ".json")
  os.remove(path)
  return view
end

-- Calls look() until it gives something.
local function await(look)
  local deadline = mp.monotonic() + 60
  repeat
    local found = look()
    if found then return found end
    mp.sleep(0.05)
  until mp.monotonic() > deadline
  error("it never came")
end

describe("moonpool top", function()
  local hosts = {}

  -- A program of its own that runs the text, until the spec ends.
  local function host(text)
    local path, pid = os.tmpname(), os.tmpname()
    local file = io.open(path, "w")
    file:write('local mp = require "moonpool"\n', text)
    file:close()
    os.execute(("setsid sh -c 'echo $$ >%s; exec %s %s' </dev/null >/dev/null 2>&1 &"):format(pid,
      PROGRAM, path))
    local started = await(function() return tonumber((script.read(pid):gsub("%s+$", ""))) end)
    os.remove(pid)
    hosts[#hosts + 1] = { pid = started, path = path }
    return started, path
  end

  after_each(function()
    for _, one in ipairs(hosts) do
      os.execute(("kill -9 %d 2>/dev/null"):format(one.pid))
      os.remove(one.path)
      assert.is_true(script.left_nothing(one))
    end
    hosts = {}
  end)

  local BUSY <const> = [[
    function train(x)
      mp.task():progress(0.25)
      mp.sleep(1000)
    end
    local pool <close> = mp.Pool(3)
    pool:map(train, mp.range(40), 1)
  ]]

  local function busy_pool(pid, workers)
    return await(function()
      local said = moonpool("top --json " .. pid)
      local _, busy = said:gsub('"state": "busy"', "")
      return busy >= workers and said:find('"progress"') and json(pid).pools[1]
    end)
  end

  it("tells as JSON what each worker does", function()
    local pid, path = host(BUSY)
    local pool = busy_pool(pid, 3)
    assert.equal(pid, pool.pid)
    assert.equal("fork", pool.start_method)
    assert.equal(37, pool.waiting)
    assert.equal(3, pool.taken)
    assert.equal(3, #pool.workers)
    local items = {}
    for i, worker in ipairs(pool.workers) do
      items[i] = worker.item
      assert.equal(i, worker.number)
      assert.equal("busy", worker.state)
      assert.equal(("train (%s:2)"):format(path), worker["function"])
      assert.equal(0.25, worker.progress)
      assert.is_true(worker.exact)
      assert.equal(0, worker.items)
      assert.is_true(worker.seconds > 0 and worker.memory > 0 and worker.cpu >= 0)
      assert.equal(0, worker.items_per_second)
      assert.is_true(script.alive(worker.pid))
    end
    table.sort(items)
    assert.same({ 1, 2, 3 }, items)
  end)

  it("names functions by their variables, fields and expressions", function()
    local pid, path = host [[
      package.loaded.score = { rate = function() mp.sleep(1000) end }
      tools = { wait = function() mp.sleep(1000) end }
      local function train() mp.sleep(1000) end
      local first, second, third, fourth = mp.Pool(1), mp.Pool(1), mp.Pool(1), mp.Pool(1)
      first:apply_async(package.loaded.score.rate, {})
      second:apply_async(tools.wait, {});
      (function(f) third:apply_async(f, {}) end)(train)
      fourth:apply_async(function() mp.sleep(1000) end, {})
      mp.sleep(1000)
    ]]
    local names = await(function()
      local names = {}
      for _, pool in ipairs(json(pid).pools) do
        names[#names + 1] = pool.workers[1] and pool.workers[1]["function"]
      end
      return #names == 4 and names
    end)
    table.sort(names)
    assert.same({ path .. ":9", ("score.rate (%s:2)"):format(path), ("tools.wait (%s:3)"):format(path),
      ("train (%s:4)"):format(path) }, names)
  end)

  it("shows the expression of moonpool map", function()
    os.execute(("echo | timeout 20 %s map -j 1 'mp.sleep(3)' >/dev/null &"):format(PROGRAM))
    assert.is_true(await(function()
      return moonpool("top --json"):find('"function": "mp.sleep(3)"', 1, true) ~= nil
    end))
  end)

  it("tells it as text, once", function()
    local pid, path = host(BUSY)
    busy_pool(pid, 3)
    local said, told, code = moonpool("top --once " .. pid)
    assert.equal("", told)
    assert.equal(0, code)
    assert.truthy(said:find(("^pid %d +moonpool %s +fork +3 workers %%(3 busy%%)"):format(pid, path)), said)
    local _, rows = said:gsub("\n +%d+ +%d+  busy +%d+ [^\n]-25 %% [^\n]-train %(", "")
    assert.equal(3, rows, said)
  end)

  it("gives averages since a worker began where it looks once", function()
    local pid = host [[
      local pool <close> = mp.Pool(1)
      pool:map(function(i)
        if i > 40 then mp.sleep(1000) end
        local till = os.clock() + 0.01
        repeat until os.clock() > till
      end, mp.range(41), 1)
    ]]
    local worker = await(function()
      return moonpool("top --json " .. pid):find '"item": 41' and json(pid).pools[1].workers[1]
    end)
    assert.equal(40, worker.items)
    assert.truthy(worker.items_per_second > 1, worker.items_per_second)
    assert.truthy(worker.cpu > 0.02 and worker.cpu <= 1.1, worker.cpu)
  end)

  it("shows pools with busy workers first where there is no room for all", function()
    local pid = host [[
      local idle, busy = mp.Pool(12), mp.Pool(1)
      idle:map(function(x) return x end, mp.range(100))
      busy:map(function() mp.sleep(1000) end, { 1 })
    ]]
    local window <close> = tmux.start { columns = 120, rows = 14, command = ("%s top %d"):format(PROGRAM, pid) }
    window:sees "1 busy"
    window:sees "more lines"
  end)

  it("says that it cannot write, and why", function()
    local errors = os.tmpname()
    os.execute(("%s top --json </dev/null >/dev/full 2>%s"):format(PROGRAM, errors))
    local told = script.read(errors)
    os.remove(errors)
    assert.truthy(told:find("cannot write: No space left on device", 1, true), told)
  end)

  it("finds all programs of this user", function()
    local one, other = host(BUSY), host("local pool = mp.Pool(2) mp.sleep(1000)")
    busy_pool(one, 3)
    local view = await(function()
      local view, seen = json(), {}
      for _, pool in ipairs(view.pools) do seen[pool.pid] = pool end
      return seen[one] and seen[other] and seen
    end)
    assert.equal(3, #view[one].workers)
    assert.equal(0, #view[other].workers)
    assert.is_nil(view[other].start_method)
  end)

  it("finds pools in a worker, each once", function()
    local pid = host [[
      local outer <close> = mp.Pool(1)
      outer:map(function()
        local inner <close> = mp.Pool(2)
        inner:map(mp.sleep, { 1000, 1000 }, 1)
      end, { 1 })
    ]]
    await(function()
      local inner, outer = 0, 0
      for _, pool in ipairs(json().pools) do
        outer = outer + (pool.pid == pid and 1 or 0)
        local worker = pool.pid == pid and pool.workers[1]
        for _, other in ipairs(json().pools) do
          inner = inner + (worker and other.pid == worker.pid and #other.workers == 2 and 1 or 0)
        end
      end
      return outer == 1 and inner == 1
    end)
  end)

  it("says what it cannot look at", function()
    local _, told, code = moonpool "top --once 999999999"
    assert.equal("moonpool top: there is no process 999999999\n", told)
    assert.equal(1, code)
    _, told, code = moonpool("top --json " .. mp.getpid())
    assert.equal(("moonpool top: process %d has no pool\n"):format(mp.getpid()), told)
    assert.equal(1, code)
    for _, words in ipairs { "x", "0", "1 2", "--twice", "0x1", "1e0", "-1" } do
      _, told, code = moonpool("top " .. words)
      assert.truthy(told:find("^usage: moonpool top"), told)
      assert.equal(1, code)
    end
  end)

  it("looks at nobody else's", function()
    local id = io.popen "id -u"
    local user = id:read "n"
    id:close()
    if user ~= 0 then return end
    local pid = host(BUSY)
    busy_pool(pid, 3)
    local copy = os.tmpname()
    os.execute(("cp %s %s; chmod 755 %s"):format(PROGRAM, copy, copy))
    local errors = os.tmpname()
    local _, _, code = os.execute(
      ("setpriv --reuid 65534 --regid 65534 --clear-groups %s top --once %d 2>%s >/dev/null"):format(copy,
        pid, errors))
    local told = script.read(errors)
    os.remove(errors)
    os.remove(copy)
    assert.equal(1, code)
    assert.truthy(told:find(("process %d (moonpool) cannot be looked into: "):format(pid), 1, true), told)
  end)

  it("ends when the program that it was told of does", function()
    local pid = host(BUSY)
    busy_pool(pid, 3)
    local out = os.tmpname()
    os.execute(("%s top %d </dev/null >%s 2>&1 &"):format(PROGRAM, pid, out))
    await(function() return script.read(out):find("train", 1, true) end)
    os.execute("kill -9 " .. pid)
    await(function() return script.read(out):find(("\nmoonpool top: process %d has ended\n"):format(pid), 1, true) end)
    assert.is_nil(script.read(out):find("q ends", 1, true))
    os.remove(out)
  end)

  it("tells of its end below the screen", function()
    local pid = host(BUSY)
    busy_pool(pid, 3)
    local window <close> = tmux.start { columns = 120, env = { PS1 = "$ " }, command = "bash --norc -i" }
    window:matches "^%$\n"
    window:keys(("clear; %s top %d"):format(PROGRAM, pid), "Enter")
    window:sees "q ends"
    os.execute("kill -9 " .. pid)
    window:sees(("\nmoonpool top: process %d has ended\n"):format(pid))
  end)

  it("gives the terminal back, whatever ends or stops it", function()
    local pid = host(BUSY)
    busy_pool(pid, 3)
    local window <close> = tmux.start { columns = 120, env = { PS1 = "$ " }, command = "bash --norc -i" }
    local top = ("%s top %d"):format(PROGRAM, pid)
    window:matches "^%$\n"
    window:keys(("(sleep 2; pkill -TERM -fx '%s') & clear; %s; stty -a | grep -o ' -*icanon'"):format(top,
      top), "Enter")
    window:sees "train"
    window:sees "\n icanon\n"
    window:keys("echo second; " .. top, "Enter")
    window:matches "\nsecond\n.*train"
    window:keys "C-z"
    window:sees "Stopped"
    window:keys("clear; fg; echo gone on $?", "Enter", "q")
    window:sees "gone on 0"
  end)

  it("shows programs that come and go all the time", function()
    local pid = host [[
      while true do
        local pool <close> = mp.Pool(2)
        pool:map(math.sqrt, mp.range(1000))
        os.execute("kill -9 " .. pool:workers()[1].pid)
      end
    ]]
    for _ = 1, 20 do
      local said, told, code = moonpool("top --json " .. pid)
      assert.is_true(code == 0 or told:find("has no pool", 1, true) ~= nil, told)
      assert.is_true(code ~= 0 or said:find('^{"pools": %[') ~= nil, said)
    end
  end)

  it("takes memory that is damaged for what it says", function()
    local pid = host(BUSY)
    local pool = busy_pool(pid, 3)
    local damaged = os.execute(([[
      for fd in /proc/%d/fd/*; do
        case "$(readlink $fd)" in
          /memfd:moonpool-seats*|/memfd:moonpool-tasks*)
            head -c 100000 /dev/urandom >/tmp/noise.$$; dd if=/tmp/noise.$$ of=$fd conv=notrunc 2>/dev/null
            rm /tmp/noise.$$;;
        esac
      done]]):format(pool.pid))
    assert.is_true(damaged)
    for _, how in ipairs { "--once", "--json" } do
      local said, told, code = moonpool(("top %s %d"):format(how, pid))
      assert.equal("", told)
      assert.equal(0, code)
      assert.is_nil(said:find("[\0-\8\11-\31]"))
    end
  end)

  it("shows 200 workers", function()
    local pid = host [[
      local pool <close> = mp.Pool(200)
      pool:map(mp.sleep, (function(n) return function() n = n + 1 return n <= 300 and 1000 or nil end end)(0), 1)
    ]]
    local pool = await(function()
      local said = moonpool("top --json " .. pid)
      return select(2, said:gsub('"state": "busy"', "")) == 200 and json(pid).pools[1]
    end)
    assert.equal(200, pool.taken)
    local said = moonpool("top --once " .. pid)
    assert.truthy(said:find("200 workers (200 busy)", 1, true), said)
  end)

  it("disturbs nobody", function()
    local r = script.run([[
      local pool <close> = mp.Pool(4)
      local watching = io.popen(("echo $$; exec %s top %d 2>&1"):format(arg[1], mp.getpid()))
      local pid = watching:read "l"
      local sum, n = 0, 0
      local deadline = mp.monotonic() + 3
      while mp.monotonic() < deadline do
        for _, v in ipairs(pool:map(function(x) return x end, mp.range(1000))) do sum = sum + v end
        n = n + 1
      end
      assert(sum == n * 500500)
      assert(pool:stats().lost_workers == 0)
      os.execute("kill " .. pid)
      watching:close()
      print "undisturbed"
    ]], { args = { PROGRAM } })
    assert.equal("undisturbed\n", r.output, r.errors)
  end)
end)
