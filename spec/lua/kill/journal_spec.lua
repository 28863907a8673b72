-- timeout: 120
local journals = require "spec.support.journals"
local script = require "spec.support.script"

describe("a journal", function()
  local path, ran, out

  before_each(function()
    path, ran, out = os.tmpname(), os.tmpname(), os.tmpname()
    os.remove(path)
  end)

  after_each(function()
    for _, name in ipairs { path, ran, out } do os.remove(name) end
  end)

  local TOOLS = [[
    local path, ran, out, seed = table.unpack(arg)
    local function work(i)
      local file = io.open(ran, "a")
      file:write(i, "\n")
      file:close()
      mp.sleep(0.005)
      return { i, math.random(), ("x"):rep(i % 50), { nested = { math.random(1, 1000) } } }
    end
    local function keep(results)
      local file = io.open(out, "w")
      for i = 1, results.n do
        local r = results[i]
        file:write(("%d %a %s %d\n"):format(r[1], r[2], r[3], r[4].nested[1]))
      end
      file:close()
    end
  ]]

  local RUN = TOOLS .. [[
    local pool <close> = mp.Pool(3)
    keep(pool:map(work, mp.range(2000), { journal = path }))
  ]]

  local function same_lists(t, other)
    for i in pairs(t) do
      if other[i] == nil then return false end
    end
    return true
  end

  it("loses nothing that was on disk when its whole group is killed 20 times", function()
    local before = {}
    for i = 1, 20 do
      local limit = ("timeout -s KILL %.3f"):format(0.05 + (i * 37 % 20) / 100)
      local r = script.run(RUN, { args = { path, ran, out }, under = limit })
      assert.is_nil(r.code == 0 or nil)
      assert.is_true(script.left_nothing(r))
      local counts = journals.counts(ran)
      for item in pairs(before) do
        assert.equal(before[item], counts[item], "item " .. item .. " ran again")
      end
      before = {}
      for item in pairs(journals.done(path)) do before[item] = counts[item] end
    end
    assert.is_true(next(before) ~= nil)
    local r = script.run(RUN, { args = { path, ran, out } })
    assert.equal("", r.errors)
    assert.equal(0, r.code)
    local counts = journals.counts(ran)
    for item in pairs(before) do assert.equal(before[item], counts[item]) end
    local all = journals.done(path)
    for i = 1, 2000 do assert.is_true(all[i]) end
    assert.is_true(same_lists(counts, all))
    local interrupted, head = script.read(out), journals.read(path)[1]
    local plain = script.run(TOOLS .. [[
      local pool <close> = mp.Pool(2)
      keep(pool:map(work, mp.range(2000), { seed = math.tointeger(seed) }))
    ]], { args = { os.tmpname(), ran, out, head.seed } })
    assert.equal(0, plain.code, plain.errors)
    assert.equal(script.read(out), interrupted)
  end)

  it("has a run whose last line fails done when the line is mended", function()
    local function source(top, last)
      return TOOLS .. top .. [[
        local pool <close> = mp.Pool(2)
        local results = pool:map(work, mp.range(200), { journal = path })
      ]] .. last
    end
    local first = script.run(source("", "json.encode(results)"), { args = { path, ran, out } })
    assert.equal(1, first.code)
    local second = script.run(source("\nlocal json = require 'moonpool'\nlocal more = 5\n",
      "json.dumps(results) keep(results) print(more)"), { args = { path, ran, out } })
    assert.equal("", second.errors)
    assert.equal("5\n", second.output)
    local counts = journals.counts(ran)
    for i = 1, 200 do assert.equal(1, counts[i]) end
  end)

  it("outlives workers that are killed, and runs a lost item again", function()
    local body = TOOLS .. [[
      local function fragile(i)
        local result = work(i)
        if i % 10 == 0 and not io.open(out) then os.exit(3) end
        return result
      end
      local pool <close> = mp.Pool(2)
      local results = pool:map(fragile, mp.range(100), { journal = path, on_error = "collect" })
      print(results.failed)
    ]]
    os.remove(out)
    assert.equal("10\n", script.output(body, { args = { path, ran, out } }))
    io.open(out, "w"):close()
    assert.equal("0\n", script.output(body, { args = { path, ran, out } }))
    local counts = journals.counts(ran)
    for i = 1, 100 do assert.equal(i % 10 == 0 and 2 or 1, counts[i]) end
  end)

  it("has what an item saved last, however fast it saves and however it ends", function()
    local body = [[
      local path, ran, how = table.unpack(arg)
      local function f(x)
        local task = mp.task()
        local at = task:saved() or 0
        io.write(at, "\n")
        for i = 1, 5 do task:save(at + i) end
        if how == "error" then error("late") elseif how == "exit" then os.exit(1) end
        mp.sleep(100)
      end
      local pool <close> = mp.Pool(1)
      pool:map(f, { x = 1, n = 1 }, { journal = path, on_error = "collect",
        timeout = how == "timeout" and 0.1 or nil, retries = how == "exit" and 1 or nil })
    ]]
    local plain, retried = "0\n|5\n|10\n", "0\n5\n|10\n15\n|20\n25\n"
    for how, expected in pairs { error = plain, timeout = plain, exit = retried } do
      local said = {}
      os.remove(path)
      for i = 1, 3 do said[i] = script.output(body, { args = { path, ran, how } }) end
      assert.equal(expected, table.concat(said, "|"), how)
    end
    os.remove(path)
    local said = {}
    for i = 1, 3 do
      said[i] = script.run(body, { args = { path, ran, "kill" }, under = "timeout -s KILL 1.5" }).output
    end
    assert.equal("0\n|5\n|10\n", table.concat(said, "|"))
  end)

  it("has a long item go on from the state that it saved when all was killed", function()
    local body = [[
      local path, ran = table.unpack(arg)
      local function long(x)
        local task = mp.task()
        local from = task:saved() or { step = 0 }
        local file = io.open(ran, "a")
        file:write(from.step, "\n")
        file:close()
        for step = from.step + 1, 200 do
          mp.sleep(0.005)
          from.sum = (from.sum or 0) + math.random()
          task:save { step = step, text = "\xff", sum = from.sum }
        end
        return from.sum
      end
      local pool <close> = mp.Pool(1)
      local sum = pool:map(long, { 7 }, { journal = path, seed = 3 })[1]
      math.randomseed(3, 1)
      local expected = 0
      for _ = 1, 200 do expected = expected + math.random() end
      print(sum == expected)
    ]]
    for _ = 1, 3 do
      local r = script.run(body, { args = { path, ran }, under = "timeout -s KILL 0.4" })
      assert.equal("", r.output)
      assert.is_true(script.left_nothing(r))
    end
    assert.equal("true\n", script.output(body, { args = { path, ran } }))
    local last = -1
    for line in script.read(ran):gmatch("%d+") do
      assert.is_true(tonumber(line) > last, script.read(ran))
      last = tonumber(line)
    end
  end)
end)
