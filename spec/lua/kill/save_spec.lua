-- timeout: 120
-- mp.save writes a file whole or not at all, whatever refuses and whenever it is killed; and leaves
-- nothing beside it.
local lfs = require "lfs"
local script = require "spec.support.script"
local fault = require "spec.support.fault"

local SANITIZED = (os.getenv("MOONPOOL_SANITIZE") or "") ~= ""
local OLD, NEW = '"old"\n', '"new"\n'

local folder

local function path(name) return folder .. "/" .. name end

local function put(name, text)
  local file <close> = assert(io.open(path(name), "wb"))
  file:write(text)
end

-- The names in the folder, sorted.
local function names()
  local found = {}
  for name in lfs.dir(folder) do
    if name ~= "." and name ~= ".." then found[#found + 1] = name end
  end
  table.sort(found)
  return table.concat(found, " ")
end

local function is(text, name)
  assert.equal(text, script.read(path(name or "x.json")))
end

-- Saves and says how that went.
local function save(options, value)
  local r = fault.run(([[
    local ok, err = pcall(mp.save, %q, %s)
    print(ok, ok or err.kind, ok or err.errno, ok or err.message)
  ]]):format(path(options.name or "x.json"), value or '"new"'), options)
  return r.output, r
end

local function refused(errno, options, value)
  local said = save(options, value)
  assert.equal(("false\tsystem\t%d\t"):format(errno), said:match "^false\t%w+\t%d+\t", said)
  assert.matches(path(""), said, 1, true)
end

local function can_trace()
  return not SANITIZED and os.execute("strace -f -o /dev/null true >/dev/null 2>&1")
end

-- The words that run the program as somebody who may not do everything; nil where that cannot be.
local function as_nobody()
  local words = script.PROGRAMS.moonpool
  if io.popen("id -u"):read "n" == 0 then words = "setpriv --reuid=65534 --clear-groups " .. words end
  return os.execute(words .. " -e '' 2>/dev/null") and words
end

describe("a file that is saved", function()
  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
    put("x.json", OLD)
  end)
  after_each(function() os.execute("chmod 755 " .. folder .. "; rm -r " .. folder) end)

  it("takes the place of the old one", function()
    save {}
    is(NEW)
    save { name = "y.json" }
    is(NEW, "y.json")
    assert.equal("x.json y.json", names())
  end)

  it("stays as it was where the value cannot be written", function()
    for name, value in pairs { ["x.json"] = "{ print }", ["x.jsonl"] = "{ 1, print }", ["x.csv"] = "{ {}, { a = {} } }",
      ["x.cbor"] = "{ print }" } do
      put(name, OLD)
      assert.matches("^false\tencode", save({ name = name }, value))
      is(OLD, name)
    end
    assert.equal("x.cbor x.csv x.json x.jsonl", names())
  end)

  it("stays as it was where it would be too large, and no SIGXFSZ comes", function()
    refused(27, { under = [[sh -c 'ulimit -f 10; exec "$@"' sh]] }, '("x"):rep(1 << 20)')
    is(OLD)
    assert.equal("x.json", names())
  end)

  it("stays as it was where the disk is full", function()
    if not os.execute(("mount -t tmpfs -o size=64k none %s 2>/dev/null"):format(folder)) then
      return pending("nothing can be mounted here")
    end
    put("x.json", OLD)
    local ok, err = pcall(function()
      refused(28, {}, '("x"):rep(1 << 20)')
      is(OLD)
      assert.equal("x.json", names())
    end)
    os.execute("umount " .. folder)
    assert(ok, err)
  end)

  it("stays as it was where a call of the system fails", function()
    if not can_trace() then return pending("processes cannot be traced here") end
    for _, call in ipairs { "fsync", "fchmod", "renameat" } do
      local inject = ("-e trace=%s -e inject=%s:error=EIO:when=1"):format(call, call)
      refused(5, { under = "strace -f -qq -o /dev/null " .. inject })
      is(OLD)
      assert.equal("x.json", names())
    end
  end)

  it("is not written where it, or its folder, may not be", function()
    local program = as_nobody()
    if not program then return pending("root cannot be somebody else here") end
    local function is_refused()
      local code = ("local ok, err = pcall(require 'moonpool'.save, '%s', 1) print(ok, err.kind, err.errno)"):format(
        path "x.json")
      local output <close> = io.popen(("%s -e %q"):format(program, code))
      assert.equal("false\tsystem\t13\n", output:read "a")
    end
    os.execute(("chown 65534 %s %s 2>/dev/null; chmod 444 %s"):format(folder, path "x.json", path "x.json"))
    is_refused()
    os.execute(("chmod 555 %s; chmod 666 %s"):format(folder, path "x.json"))
    is_refused()
    is(OLD)
    assert.equal("x.json", names())
  end)

  it("keeps its mode, and gets that of the umask where it is new", function()
    local function mode(name) return lfs.attributes(path(name), "permissions") end
    os.execute("chmod 604 " .. path "x.json")
    save { under = [[sh -c 'umask 077; exec "$@"' sh]] }
    assert.equal("rw----r--", mode "x.json")
    is(NEW)
    save { name = "y.json", under = [[sh -c 'umask 027; exec "$@"' sh]] }
    assert.equal("rw-r-----", mode "y.json")
  end)

  it("is what a link leads to, which stays a link", function()
    lfs.mkdir(path "far")
    put("far/real.json", OLD)
    lfs.link("far/real.json", path "one.json", true)
    lfs.link(path "one.json", path "two.json", true)
    lfs.link("far/new.json", path "dangling.json", true)
    lfs.link("round.json", path "round.json", true)
    save { name = "two.json" }
    is(NEW, "far/real.json")
    save { name = "dangling.json" }
    is(NEW, "far/new.json")
    for _, name in ipairs { "one", "two", "dangling" } do
      assert.equal("link", lfs.symlinkattributes(path(name .. ".json"), "mode"))
    end
    refused(40, { name = "round.json" })
    assert.equal("dangling.json far one.json round.json two.json x.json", names())
    assert.equal("new.json real.json", (io.popen("ls -A " .. path "far"):read "a":gsub("\n(.)", " %1"):gsub("\n", "")))
  end)

  it("is none that is no file", function()
    os.execute("mkfifo " .. path "pipe.json")
    refused(22, { name = "pipe.json" })
    lfs.link("/dev/null", path "null.json", true)
    refused(22, { name = "null.json" })
    assert.equal("char device", lfs.attributes("/dev/null", "mode"))
  end)

  it("is whole, the old or the new one, whenever its writer is killed", function()
    for point, text in pairs { ["save.begun"] = OLD, ["save.written"] = OLD, ["save.renamed"] = NEW } do
      put("x.json", OLD)
      local _, r = save { failpoints = point .. ":kill" }
      assert.equal(9, r.signal or r.code - 128)
      is(text)
    end
  end)

  it("is whole to who reads it meanwhile", function()
    local r = fault.run(([[
      local path, texts = %q, { ("a"):rep(100000), ("b"):rep(200000) }
      mp.save(path, texts[1])
      local writers = {}
      for w = 1, 2 do
        writers[w] = mp.Process { daemon = true, target = function()
          for _ = 1, 20 do mp.save(path, texts[w]) end
        end }
        writers[w]:start()
      end
      local whole = true
      repeat
        local text = mp.load(path)
        whole = whole and (text == texts[1] or text == texts[2])
      until not writers[1]:is_alive() and not writers[2]:is_alive()
      print(whole, writers[1].exitcode, writers[2].exitcode)
    ]]):format(path "x.json"))
    assert.equal("true\t0\t0\n", r.output, r.errors)
    assert.equal("x.json", names())
  end)

  it("leaves no descriptor open", function()
    local r = fault.run(([[
      local lfs = require "lfs"
      local function count()
        local n = 0
        for _ in lfs.dir("/proc/self/fd") do n = n + 1 end
        return n
      end
      mp.save(%q, 1)
      local before = count()
      for i = 1, 20 do
        mp.save(%q, i)
        pcall(mp.save, "/proc/none/x.json", i)
        pcall(mp.save, "/proc/x.json", i)
        pcall(mp.load, "/proc/none/x.json")
      end
      print(count() - before)
    ]]):format(path "x.json", path "x.json"))
    assert.equal("0\n", r.output, r.errors)
  end)
end)
