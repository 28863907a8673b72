local lfs = require "lfs"
local mp = require "moonpool"

describe("mp.timeit", function()
  it("gives the seconds of a call, then its results", function()
    local seconds, a, b = mp.timeit(function(x, y) mp.sleep(0.02) return y, x end, 1, nil)
    assert.is_true(seconds >= 0.02 and seconds < 5)
    assert.is_nil(a)
    assert.equal(1, b)
    assert.equal(2, select("#", mp.timeit(tostring, nil)))
  end)

  it("raises what the call raises, and wants a function", function()
    assert.has_error(function() mp.timeit(error, "no") end, "no")
    local ok, err = pcall(mp.timeit, 5)
    assert.is_false(ok)
    assert.equal("argument", err.kind)
  end)
end)

describe("mp.glob", function()
  local folder

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
    for _, name in ipairs { "b.csv", "a.csv", "C.csv", "a.json", ".hidden.csv" } do
      io.open(folder .. "/" .. name, "w"):close()
    end
  end)

  after_each(function()
    os.execute("rm -r " .. folder)
  end)

  local function names(...)
    local patterns = table.pack(...)
    for i = 1, patterns.n do patterns[i] = folder .. "/" .. patterns[i] end
    local found = mp.glob(table.unpack(patterns))
    for i, path in ipairs(found) do found[i] = path:match "[^/]+$" end
    return found
  end

  it("gives what matches, sorted, each once", function()
    assert.same({ "C.csv", "a.csv", "b.csv" }, names "*.csv")
    assert.same({ "C.csv", "a.csv", "a.json", "b.csv" }, names("a.*", "*.csv"))
    assert.same({ "a.csv", "a.json" }, names "a.{csv,json}")
    assert.same({}, names "*.txt")
    assert.same({}, mp.glob())
  end)

  it("wants patterns", function()
    local ok, err = pcall(mp.glob, "*", 5)
    assert.is_false(ok)
    assert.matches("glob: argument 2 must be a pattern, got number 5", err.message)
  end)
end)

describe("mp.type", function()
  it("names the library's objects, and nothing else", function()
    local pool <close> = mp.Pool(1)
    local manager <close> = mp.Manager()
    local a, b = mp.Pipe()
    local cases = {
      Pool = pool, AsyncResult = pool:apply_async(math.abs, { 1 }), Iterator = pool:imap(math.abs, { 1 }),
      Process = mp.current_process(), Range = mp.range(3), Linspace = mp.linspace(0, 1, 2),
      Zip = mp.zip({}, {}), Grid = mp.grid {}, Sample = mp.sample({}, 1),
      Lock = mp.Lock(), RLock = mp.RLock(), Semaphore = mp.Semaphore(1),
      BoundedSemaphore = mp.BoundedSemaphore(1), Event = mp.Event(), Condition = mp.Condition(),
      Barrier = mp.Barrier(1), Queue = mp.Queue(), SimpleQueue = mp.SimpleQueue(),
      JoinableQueue = mp.JoinableQueue(), Value = mp.Value "i4", Array = mp.Array("d", 1), Connection = a,
      Shared = mp.share(1), Manager = manager, list = manager:list(), dict = manager:dict(),
      Namespace = manager:Namespace(), Context = mp.get_context "spawn",
      Error = select(2, pcall(mp.Pool, "x")),
    }
    for name, object in pairs(cases) do assert.equal(name, mp.type(object)) end
    for _, other in ipairs { 1, "x", {}, print, io.stdout, setmetatable({}, { __name = "Pool" }), mp } do
      assert.is_nil(mp.type(other))
    end
    assert.is_nil(mp.type(nil))
    pool:wait()
    a:close()
    b:close()
  end)
end)

describe("mp.show", function()
  it("gives the readable text of any value", function()
    assert.equal("nil", mp.show(nil))
    assert.equal("1.0", mp.show(1.0))
    assert.equal('"a\\nb\\"c"', mp.show 'a\nb"c')
    assert.equal('{1, 2, [2.5] = "x", a = true, ["b c"] = {}}',
      mp.show { 1, 2, ["b c"] = {}, a = true, [2.5] = "x" })
    assert.equal("Pool of 1 (open)", mp.show(mp.Pool(1)))
  end)

  it("breaks and indents what is long, sorts keys, and cuts what is large or deep", function()
    local rows = {}
    for i = 1, 3 do rows[i] = { name = ("x"):rep(30), number = i, list = { 1, 2, 3 } } end
    local x = ("x"):rep(30)
    assert.equal(('{\n  {list = {1, 2, 3}, name = "%s", number = 1},\n  {list = {1, 2, 3}, name = "%s", '
      .. 'number = 2},\n  {list = {1, 2, 3}, name = "%s", number = 3}\n}'):format(x, x, x), mp.show(rows))
    local many = {}
    for i = 1, 60 do many[i] = i end
    assert.matches("^{\n  1, 2, 3, [%d, ]+, 21, 22,\n  23, [%d, ]+,\n  [%d, ]+, 50,\n  %.%.%. 10 more\n}$",
      mp.show(many))
    assert.equal('{["end"] = 3, over = "x", t = task error: oh ...}', mp.show { ["end"] = 3, over = "x",
      t = setmetatable({}, { __tostring = function() return "task error: oh\nstack traceback: ..." end }) })
    assert.equal("{{{{{...}}}}}", mp.show { { { { {} } } } })
    assert.equal(('{\n  "x%s..."\n}'):format(("é"):rep(99)), mp.show { "x" .. ("é"):rep(200) })
    local round = {}
    round.self = round
    assert.equal("{self = {cycle}}", mp.show(round))
  end)
end)
