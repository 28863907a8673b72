-- mp.experiment: rows in the order of the space, what they come to, and where they are written.
local lfs = require "lfs"
local mp = require "moonpool"
local script = require "spec.support.script"

local function identity(params) return params.x end

local function failure(given, ...)
  local ok, err = pcall(mp.experiment, given, ...)
  assert.is_false(ok)
  return err
end

local function mistaken(message, given)
  local err = failure(given)
  assert.equal("argument", err.kind)
  assert.matches(message, err.message, 1, true)
end

-- A field of all entries or rows.
local function all(list, name)
  local values = {}
  for i, entry in ipairs(list) do values[i] = entry[name] end
  return values
end

describe("an experiment's rows", function()
  it("stand in the order of the space, the repeats of one together", function()
    local sleep = mp.sleep
    local rows = mp.experiment {
      space = { b = { 1, 2 }, a = { "x", "y" } }, repeats = 2, processes = 3,
      run = function(params, r)
        sleep(params.b == 1 and 0.02 or 0)
        return params.a .. params.b .. r
      end,
    }
    assert.same({ "x11", "x12", "x21", "x22", "y11", "y12", "y21", "y22" }, all(rows, "result"))
    assert.same({ 1, 2, 1, 2, 1, 2, 1, 2 }, all(rows, "repeat"))
    assert.same({ a = "y", b = 1 }, rows[6].params)
    assert.equal(8, #rows)
    assert.equal(4, #rows.summary)
  end)

  it("come of a grid, a sample, a table for mp.grid, or a list of tables", function()
    local sample = mp.sample({ x = { min = 0, max = 1 } }, 4, 1)
    local function results(space)
      return all(mp.experiment { space = space, run = identity, processes = 2 }, "result")
    end
    assert.same({ 1, 2, 3 }, results(mp.grid { x = mp.range(3) }))
    assert.same({ sample[1].x, sample[2].x, sample[3].x, sample[4].x }, results(sample))
    assert.same({ 1, 2 }, results { x = { 1, 2 } })
    assert.same({ 5 }, results { x = 5, n = { 7 } })
    assert.same({ 7, 8 }, results { { x = 7 }, { x = 8 } })
    assert.same({ 7 }, results { { x = 7 }, n = 1 })
    assert.same({}, results { x = {} })
    local rows = mp.experiment { space = {}, run = function(_, r) return r end, repeats = 3, processes = 1 }
    assert.same({ 1, 2, 3 }, all(rows, "result"))
  end)

  it("have the same numbers for the same seed, whatever runs them", function()
    local function numbers(seed, processes, chunksize)
      return all(mp.experiment { space = { x = { 1, 2, 3 } }, repeats = 4, seed = seed, processes = processes,
        chunksize = chunksize, run = function(params) return math.random() * params.x end }, "result")
    end
    local first = numbers(7, 1)
    assert.same(first, numbers(7, 3))
    assert.same(first, numbers(7, 2, 5))
    assert.not_same(first, numbers(8, 1))
    math.randomseed(7, 5) -- as an item of a call by that seed
    assert.equal(first[5], math.random() * 2)
  end)

  it("of runs that failed have their errors, and the others go on", function()
    local rows = mp.experiment {
      space = { x = { 1, 2, 3 } }, repeats = 2, processes = 2,
      run = function(params, r)
        if params.x == 2 then error("boom", 0) end
        if params.x == 3 and r == 1 then os.exit(3) end
        return params.x
      end,
    }
    assert.same({ 1, 1, nil, nil, nil, 3 }, { rows[1].result, rows[2].result, rows[3].result, rows[4].result,
      rows[5].result, rows[6].result })
    assert.same({ "boom", "boom", "worker_lost" }, { rows[3].error.message, rows[4].error.value, rows[5].error.kind })
    assert.same({ 2, 0, 1 }, all(rows.summary, "n"))
    assert.same({ 0, 2, 1 }, all(rows.summary, "failed"))
    assert.same({ x = 2 }, rows[4].params)
  end)

  it("are not given where on_error is raise: the first failure is", function()
    local err = failure { space = { x = mp.range(20) }, processes = 2, on_error = "raise",
      run = function(params) return params.x % 5 == 0 and error("at " .. params.x, 0) or params.x end }
    assert.same({ "task", "at 5", 5 }, { err.kind, err.message, err.index })
    assert.equal(4, err.results[4])
    local rows = mp.experiment { space = { x = { 3, 4 } }, processes = 2, on_error = "raise", run = identity }
    assert.same({ 3, 4 }, all(rows, "result"))
    assert.same({ 3, 4 }, all(rows.summary, "mean"))
  end)

  it("hold whatever a run returns, nil and errors as well", function()
    local rows = mp.experiment { space = { x = { 1, 2, 3 } }, processes = 1, run = function(params)
      if params.x == 1 then return nil, "no" end
      return params.x == 2 and { kind = "task" } or false
    end }
    assert.same({ nil, { kind = "task" }, false }, { rows[1].result, rows[2].result, rows[3].result })
    assert.same({ nil, nil, nil }, all(rows, "error"))
    assert.same({ 1, 1, 1 }, all(rows.summary, "n"))
  end)

  it("obey the options of a call", function()
    local tries, told, sleep = mp.Value "i4", 0, mp.sleep
    local rows = mp.experiment {
      space = { x = { 1, 2 } }, processes = 1, timeout = 0.2, retries = 1, retry_delay = 0.01,
      progress = function(done) told = done end,
      run = function(params)
        if params.x == 1 then
          sleep(60)
        elseif tries:add(1) == 1 then
          error("once")
        end
        return tries.value
      end,
    }
    assert.same({ "timeout", 2 }, { rows[1].error.kind, rows[1].error.attempt })
    assert.equal(2, rows[2].result)
    assert.equal(2, told)
  end)

  it("are taken from a journal where they stand there", function()
    local path, runs = os.tmpname(), mp.Value "i4"
    local function once()
      return mp.experiment { space = { x = { 1, 2, 3 } }, repeats = 2, processes = 2, journal = path,
        run = function(params)
          runs:add(1)
          return params.x + math.random()
        end }
    end
    os.remove(path)
    local first = once()
    local second = once()
    os.remove(path)
    assert.equal(6, runs.value)
    assert.same(all(first, "result"), all(second, "result"))
    assert.same(first.summary, second.summary)
  end)

  it("are of a pool that is given, which stays open, or of one that ends", function()
    local pool <close> = mp.Pool(1)
    local worker = pool:apply(mp.getpid)
    local pid = mp.getpid
    local rows = mp.experiment { space = { x = { 1, 2 } }, pool = pool, run = function() return pid() end }
    assert.same({ worker, worker }, all(rows, "result"))
    assert.equal(worker, pool:apply(mp.getpid))
    script.says("") ("true\t3\n", [[
      local function children() return io.open(("/proc/self/task/%d/children"):format(mp.getpid())):read "a" end
      local before = children()
      local rows = mp.experiment { space = { x = { 1, 2, 3 } }, run = function(p) return p.x end, processes = 2 }
      print(children() == before, rows[3].result)
    ]])
  end)

  it("raise what makes every run fail", function()
    local fail = error
    local pool = mp.Pool { processes = 1, initializer = function() fail("not here", 0) end }
    local err = failure { space = { x = { 1, 2 } }, pool = pool, run = identity }
    assert.equal("initializer", err.kind)
    pool:terminate()
    pool:join()
    pool = mp.Pool(1)
    pool:terminate()
    pool:join()
    assert.equal("closed", failure({ space = { x = { 1 } }, pool = pool, run = identity }).kind)
  end)
end)

describe("an experiment's summary", function()
  local function summarized(results, given)
    given = given or {}
    given.space, given.repeats, given.processes = { x = { 1 } }, #results, 1
    given.run = function(_, r)
      local result = results[r]
      if result == "fail" then error("boom") end
      return result
    end
    return mp.experiment(given).summary[1]
  end

  it("has mean, sample deviation, least and most of numbers", function()
    assert.same({ params = { x = 1 }, n = 4, failed = 0, mean = 2.5, sd = math.sqrt(5 / 3), min = 1, max = 4 },
      summarized { 3, 1, 4, 2 })
    assert.same({ params = { x = 1 }, n = 1, failed = 1, mean = 3.0, min = 3, max = 3 }, summarized { "fail", 3 })
    assert.same({ params = { x = 1 }, n = 0, failed = 2 }, summarized { "fail", "fail" })
    assert.same({ params = { x = 1 }, n = 2, failed = 0 }, summarized { true, "x" })
    local entry = summarized { 1, 0 / 0, 2 }
    assert.is_true(entry.mean ~= entry.mean and entry.sd ~= entry.sd)
    assert.same({ 1, 2 }, { entry.min, entry.max })
  end)

  it("has these by the fields of tables", function()
    assert.same({
      params = { x = 1 }, n = 3, failed = 1, mean = { loss = 2.0, steps = 7.0 }, sd = { loss = 1.0 },
      min = { loss = 1, steps = 7 }, max = { loss = 3, steps = 7 },
    }, summarized { { loss = 1, name = "a", 5 }, { loss = 2, steps = 7 }, "fail", { loss = 3, list = { 1 } } })
  end)

  it("names the best by its mean", function()
    local function best(how, by, results)
      local rows = mp.experiment { space = { x = mp.range(#results) }, processes = 2, best = how, by = by,
        run = function(params) return results[params.x] end }
      return rows.best and rows.best.params.x
    end
    assert.equal(2, best("min", nil, { 3, 1, 2, 1 }))
    assert.equal(1, best("max", nil, { 3, 1, 2, 3 }))
    assert.equal(3, best("max", nil, { 0 / 0, "x", -5, -math.huge }))
    assert.equal(2, best("min", "loss", { { loss = 2, acc = 1 }, { loss = 1, acc = 9 }, { acc = 0 } }))
    assert.equal(3, best("min", nil, { { acc = 2 }, { acc = 1 }, { acc = 0 } }))
    assert.is_nil(best("min", nil, { { loss = 2, acc = 1 } }))
    assert.is_nil(best("min", "loss", { 1, 2 }))
    assert.is_nil(best(nil, nil, { 1, 2 }))
    local rows = mp.experiment { space = { x = { 1, 2 } }, repeats = 2, best = "min", processes = 1,
      run = function(params, r) return params.x == 1 and ({ 0, 10 })[r] or 4 end }
    assert.equal(rows.summary[2], rows.best)
  end)
end)

describe("an experiment's file", function()
  local folder
  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
  end)
  after_each(function() os.execute("rm -rf " .. folder) end)

  -- The records that the file has, in each format.
  local function written(given)
    local records = {}
    for _, ending in ipairs { "csv", "json", "jsonl", "cbor" } do
      given.out, given.processes = folder .. "/rows." .. ending, 1
      mp.experiment(given)
      records[ending] = mp.load(given.out)
    end
    return records
  end

  local function is(expected, records)
    for _, ending in ipairs { "csv", "json", "jsonl", "cbor" } do assert.same(expected, records[ending]) end
  end

  it("has parameters, repeat, and result or error, side by side", function()
    is({
      { x = 1, name = "7", ["repeat"] = 1, result = 1.5 }, { x = 1, name = "7", ["repeat"] = 2, result = 2.5 },
      { x = 2, name = "7", ["repeat"] = 1, error = "boom" }, { x = 2, name = "7", ["repeat"] = 2, error = "boom" },
    }, written { space = { x = { 1, 2 }, name = "7" }, repeats = 2, run = function(params, r)
      return params.x == 1 and r + 0.5 or error("boom", 0)
    end })
  end)

  it("has the fields of results, none in another's place", function()
    is({ { x = 1, ["params.repeat"] = "p", ["params.error"] = 5, ["repeat"] = 1, ["result.x"] = 3,
      ["result.result"] = 4, loss = true } },
      written { space = { x = 1, ["repeat"] = "p", error = 5 }, run = function(params)
        return { x = 3, result = 4, loss = params.x == 1 }
      end })
    is({ { x = 1, ["result.x"] = 2, ["result.result.x"] = 3, ["repeat"] = 1 } },
      written { space = { x = 1, ["result.x"] = 2 }, run = function() return { x = 3 } end })
  end)

  it("has tables as they are, or as text where the format has none", function()
    local records = written { space = { { layers = { 64, 32 } } }, run = function() return { 1, { a = 2 } } end }
    local row = { layers = { 64, 32 }, ["repeat"] = 1, result = { 1, { a = 2 } } }
    assert.same({ row }, records.json)
    assert.same({ row }, records.jsonl)
    assert.same({ row }, records.cbor)
    assert.same({ { layers = "[64, 32]", ["repeat"] = 1, result = '[1, {"a": 2}]' } }, records.csv)
  end)

  it("has every row, whatever cannot be said in its format", function()
    local records = written { space = { x = mp.range(4) }, run = function(params)
      return ({ 0 / 0, "\xff", { print, [1.5] = 2 }, print })[params.x]
    end }
    for ending, rows in pairs(records) do
      assert.equal(4, #rows, ending)
      for i = 1, 4 do assert.is_true(rows[i].result ~= nil, ending) end
    end
    assert.equal("nan", records.json[1].result)
    assert.equal("\\xFF", records.json[2].result)
    assert.equal("\xff", records.csv[2].result)
    assert.matches("^{function", records.jsonl[3].result)
  end)

  it("is tried before anything runs", function()
    local runs = mp.Value "i4"
    local function run() runs:add(1) end
    local err = failure { space = { x = 1 }, run = run, out = folder .. "/none/rows.csv" }
    assert.same({ "system", 2 }, { err.kind, err.errno })
    mistaken("out must be a path that ends in .cbor, .json, .jsonl or .csv",
      { space = { x = 1 }, run = run, out = folder .. "/rows.txt" })
    assert.equal(0, runs.value)
    assert.equal("", io.popen("ls -A " .. folder):read "a")
  end)

  it("that cannot be written in the end is an error that has the rows", function()
    local remove = os.execute
    local err = failure { space = { x = { 1, 2 } }, processes = 1, out = folder .. "/rows.csv", run = function(params)
      remove("rm -rf " .. folder)
      return params.x
    end }
    assert.same({ "system", 1, 2 }, { err.kind, err.results[1].result, err.results.summary[2].mean })
  end)
end)

describe("an experiment that is wrong", function()
  it("is told which field, before anything runs", function()
    mistaken("experiment: the argument must be a table", 5)
    mistaken("run must be a function of (params, repeat), got nil", { space = {} })
    mistaken("run must be a function", { space = {}, run = "x" })
    mistaken("space must be a grid, a sample, a table of parameters, or a list of such, got nil", { run = print })
    mistaken("space must be", { run = print, space = mp.range(3) })
    mistaken("item 2 of the space must be a table of parameters, got number 5", { run = print, space = { {}, 5 } })
    mistaken('unknown field string "repeat"; did you mean "repeats"?', { run = print, space = {}, ["repeat"] = 2 })
    mistaken('did you mean "processes"?', { run = print, space = {}, workers = 2 })
    mistaken("repeats must be a positive integer, got number 0", { run = print, space = {}, repeats = 0 })
    mistaken('best must be "min" or "max", got string "least"', { run = print, space = {}, best = "least" })
    mistaken('write best = "min"', { run = print, space = {}, by = "loss" })
    mistaken("by must be the name of a field", { run = print, space = {}, best = "min", by = 1 })
    mistaken("pool must be a Pool, got number 4", { run = print, space = {}, pool = 4 })
    mistaken("show must be a boolean", { run = print, space = {}, show = 1 })
    mistaken("experiment: timeout must be", { run = print, space = {}, timeout = -1 })
    mistaken("experiment: seed must be an integer", { run = print, space = {}, seed = 1.5 })
    mistaken("more runs than can be counted", { run = print, space = { x = mp.range(1 << 40) }, repeats = 1 << 40 })
    local pool <close> = mp.Pool(1)
    mistaken("processes are those of the pool", { run = print, space = {}, pool = pool, processes = 2 })
  end)
end)

describe("what an experiment shows", function()
  local RUN = [[
    mp.experiment { %s, processes = 1, space = { lr = { 0.1, 0.01, 1e-3 }, kind = { "a", "long" } }, repeats = 2,
      run = function(params, r)
        if params.lr == 0.1 and params.kind == "long" then error("boom", 0) end
        return { loss = params.lr * r, steps = 7 }
      end }
  ]]
  local TABLE = [[
12 runs of 6 combinations, 2 failed, the first by: boom
kind     lr  n  failed    loss      loss sd  steps  steps sd
a     0.001  2          0.0015  0.000707107      7         0
long  0.001  2          0.0015  0.000707107      7         0
a      0.01  2           0.015   0.00707107      7         0
long   0.01  2           0.015   0.00707107      7         0
a       0.1  2            0.15    0.0707107      7         0
long    0.1  0       2
]]

  -- All that it says on a terminal; the last line's end is that of one.
  local function on_terminal(source)
    local python = "/usr/bin/python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'"
    local r = script.run(source, { under = python })
    assert.equal(0, r.code, r.errors)
    return (r.output:gsub("\r\n", "\n"))
  end

  it("is nothing where nobody looks", function()
    for _, how in ipairs { 'best = "min", by = "loss"', "show = false" } do
      local r = script.run(RUN:format(how))
      assert.same({ "", "", 0 }, { r.output, r.errors, r.code })
    end
    assert.equal("", on_terminal(RUN:format "show = false"))
    assert.equal("", on_terminal([[
      local pool <close> = mp.Pool { processes = 1 }
      pool:apply(function() ]] .. RUN:format "best = 'min'" .. [[ end)
    ]]))
  end)

  it("is the best so far and a table, on a terminal or where asked for", function()
    local r = script.run(RUN:format 'show = true, best = "min", by = "loss"')
    assert.equal("", r.output)
    local best, rest = r.errors:match "^(best so far: [^\n]*\n)(.*)$"
    assert.equal("best so far: 0.15 with kind = a, lr = 0.1 (2 of 12 runs)\n", best)
    assert.equal(TABLE, (rest:gsub("best so far: [^\n]*\n", "")))
    local said = on_terminal(RUN:format 'best = "min", by = "loss"'):gsub("\r\27%[K", "")
    assert.equal(TABLE, (said:gsub("best so far: [^\n]*\n", "")))
    assert.equal(best, said:match "^[^\n]*\n")
  end)

  it("is a table in the order of the space where nothing is best, and no longer than a screen", function()
    local errors = script.run([[
      mp.experiment { show = true, processes = 1, space = { x = mp.range(100), text = "two\nlines" },
        run = function(params) return params.x == 2 and 1e10 or params.x == 3 and 0 / 0 or -params.x end }
    ]]).errors
    local lines = {}
    for line in errors:gmatch "[^\n]*" do lines[#lines + 1] = line end
    assert.same({ "100 runs of 100 combinations", 'text           x  n   mean', '"two\\nlines"   1  1     -1',
      '"two\\nlines"   2  1  1e+10', '"two\\nlines"   3  1    nan' }, table.move(lines, 1, 5, 1, {}))
    assert.same({ '"two\\nlines"  40  1    -40', "... 60 more", "" }, table.move(lines, 42, 44, 1, {}))
    assert.equal("0 runs of 0 combinations\n",
      script.run("mp.experiment { show = true, space = { x = {} }, run = print }").errors)
  end)
end)
