-- label: plain
-- timeout: 120
-- The page of pool:timeline in a browser without a window: what it draws, and what it answers. Where
-- there is no chromium nothing is tried.
local mp = require "moonpool"
local script = require "spec.support.script"

local BROWSER
for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
  BROWSER = BROWSER or (os.execute(("command -v %s >/dev/null"):format(name)) and name)
end

-- Zooms in at the middle, points there, and shows all again.
local PROBE = [[
<script>
const canvas = document.querySelector("canvas"), told = document.documentElement.dataset;
const at = (type, x, y, more) => canvas.dispatchEvent(new (type === "wheel" ? WheelEvent
  : type === "dblclick" ? MouseEvent : PointerEvent)(type, Object.assign({ bubbles: true,
  cancelable: true, clientX: x + canvas.getBoundingClientRect().left, clientY: y
  + canvas.getBoundingClientRect().top, pointerId: 1 }, more)));
const tips = new Set();
const tip = document.getElementById("tip");
for (let y = 150; y < 330; y += 20) {
  for (let x = 110; x < 1300; x += 3) {
    at("pointermove", x, y);
    if (tip.style.display === "block") tips.add([...tip.children].map(e => e.textContent).join("\n"));
  }
}
told.tips = [...tips].join("|");
told.slowest = document.getElementById("slowest").innerText;
told.head = document.getElementById("totals").innerText;
told.legend = document.getElementById("legend").innerText;
for (let i = 0; i < 30; i++) at("wheel", 600, 200, { deltaY: -100 });
for (const key of ["ArrowLeft", "+", "-", "0"]) dispatchEvent(new KeyboardEvent("keydown", { key }));
at("dblclick", 600, 200);
</script>
</body>]]

local function browse(page, anchor)
  local home = os.tmpname()
  os.remove(home)
  local text = script.read(page):gsub("</body>", function() return PROBE end)
  local file = assert(io.open(page, "w"))
  file:write(text)
  file:close()
  local r = mp.run({ BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
    "--user-data-dir=" .. home, "--window-size=1400,900", "file://" .. page .. (anchor or "") })
  os.execute(("rm -rf %s"):format(home))
  local told = {}
  for name, value in r.stdout:gmatch '%f[%w]data%-(%a+)="(.-)"' do
    told[name] = value:gsub("&(%a+);", { quot = '"', lt = "<", gt = ">", amp = "&" })
  end
  return told
end

describe("the page of a timeline", function()
  local page

  before_each(function() page = os.tmpname() .. ".html" end)
  after_each(function()
    os.remove(page)
    os.remove((page:gsub("%.html$", "")))
  end)

  if not BROWSER then
    pending "needs chromium"
    return
  end

  it("draws a lane for each worker, and tells of each item", function()
    do
      local pool <close> = mp.Pool(4)
      pool:timeline(page)
      pool:map(function(t)
        local deadline = mp.monotonic() + 0.004
        repeat until mp.monotonic() > deadline
        if t.n == 7 then os.execute("kill -9 " .. mp.getpid()) end
        if t.n % 9 == 0 then error("</script> " .. t.n) end
      end, coroutine.wrap(function()
        for n = 1, 40 do coroutine.yield { n = n, name = "<b>" } end
      end), { on_error = "collect", retries = 1, chunksize = 1 })
    end
    local told = browse(page)
    assert.equal("0", told.errors)
    assert.equal("4", told.lanes)
    assert.equal("4", told.filled)
    assert.equal(tostring(40 + 5), told.items)
    assert.is_true(tonumber(told.bars) >= 40)
    for _, words in ipairs { "item 9: failed", "item 7: lost", "attempt 2", "PoolWorker-4, pid ",
      "killed by signal 9", '{n = 33, name = "<b>"}', "</script> 18", "item 40: done" } do
      assert.is_truthy(told.tips:find(words, 1, true), words)
    end
    assert.is_truthy(told.legend:find "failed%s*8")
    assert.is_truthy(told.slowest:find "PoolWorker")
    assert.is_truthy(told.head:find "workers%s*4")
  end)

  it("draws very many", function()
    do
      local pool <close> = mp.Pool(2)
      pool:timeline(page)
      pool:map(function(x) if x % 9999 == 0 then error(x) end end, mp.range(100000),
        { on_error = "collect" })
    end
    assert.is_true(#script.read(page) < 3 << 20)
    local told = browse(page, "#measure")
    assert.equal("0", told.errors)
    assert.equal("100000", told.items)
    assert.equal("2", told.filled)
    assert.is_not_nil(told.measure)
  end)

  it("draws the tasks of a pool that it was asked for too late", function()
    local pool <close> = mp.Pool(2)
    pool:map(function(x)
      local deadline = mp.monotonic() + 0.002
      repeat until mp.monotonic() > deadline
      return x
    end, mp.range(60), 1)
    pool:timeline(page)
    local told = browse(page)
    assert.equal("0", told.errors)
    assert.equal("2", told.lanes)
    assert.equal("2", told.filled)
    assert.is_truthy(told.tips:find("1 items", 1, true))
    assert.is_truthy(told.tips:find("busy 100.0 %", 1, true))
    assert.is_truthy(told.legend:find "tasks%s*%d")
    pool:map(function(x) return x end, mp.range(10))
    pool:close()
    pool:join()
    told = browse(page)
    assert.equal("0", told.errors)
    assert.is_truthy(told.legend:find "done%s*10")
    assert.is_truthy(told.legend:find "tasks%s*%d")
  end)

  it("draws nothing of a pool that has done nothing", function()
    local pool = mp.Pool(2)
    pool:timeline(page)
    pool:close()
    pool:join()
    local told = browse(page)
    assert.equal("0", told.errors)
    assert.equal("0", told.lanes)
  end)
end)
