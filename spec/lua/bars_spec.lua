local script = require "spec.support.script"
require "moonpool"

local bars = debug.getregistry()["moonpool.require"] "moonpool.bars"

local function numbers(given)
  local n = { done = 450, total = 1000, rate = 12.34, seconds = 37, left = 44.6, failed = 0, retried = 0,
    busy = 4 }
  for name, value in pairs(given or {}) do
    n[name] = value or nil
  end
  return n
end

-- The columns of each of these texts, as Python's tables of characters have them.
local function columns_of(texts)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(table.concat(texts, "\n"), "\n")
  file:close()
  local python = assert(io.popen(([[python3 -c '
import sys, unicodedata
for line in open(sys.argv[1], encoding="utf-8"):
    print(sum(0 if unicodedata.combining(c) or unicodedata.category(c) == "Cf"
              else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line.rstrip("\n")))
' %s]]):format(path)))
  local widths = {}
  for line in python:lines() do
    widths[#widths + 1] = tonumber(line)
  end
  python:close()
  os.remove(path)
  return widths
end

describe("a bar's line", function()
  it("tells title, part, count, rate and the time that is left", function()
    assert.equal("squares  45% |███████████▋              | 450/1000  12.3/s  0:45 left  4 busy",
      bars.line(numbers { title = "squares" }, 78, true))
  end)

  it("is ASCII where the locale is", function()
    assert.equal("squares  45% [===========>               ] 450/1000  12.3/s  0:45 left  4 busy",
      bars.line(numbers { title = "squares" }, 79, false))
  end)

  it("tells failures and items that ran again", function()
    local line = bars.line(numbers { failed = 3, retried = 5 }, 120, true)
    assert.truthy(line:find("  3 failed  5 retried  4 busy", 1, true))
  end)

  it("tells what it can without a total", function()
    assert.equal("450 done  12.3/s  0:37  4 busy", bars.line(numbers { total = false }, 80, true))
  end)

  it("tells at the end how long it took", function()
    assert.truthy(bars.line(numbers { done = 1000, over = true }, 80, true):find("1000/1000  12.3/s  in 0:37$"))
    assert.truthy(bars.line(numbers { over = true, seconds = 0.31 }, 80, true):find("after 0.3s$"))
  end)

  it("is full only when all is done", function()
    assert.truthy(bars.line(numbers { done = 999 }, 80, false):find(" 99%% %[=+> +%] 999/"))
    assert.truthy(bars.line(numbers { done = 1000 }, 80, false):find("100%% %[=+%] 1000/"))
  end)

  it("counts parts of items in its length", function()
    assert.truthy(bars.line(numbers { done = 0.5, total = 1 }, 80, false):find(" 50%% %[=+> +%] 0/1 "))
  end)

  it("leaves out what has no room, and is never as wide as the terminal", function()
    local lines, room = {}, {}
    for _, title in ipairs { "", "plain", "漢字の題名です", "e\u{301}e\u{301}e\u{301} cafe\u{301}",
      "\u{1F680}\u{1F680} rockets", ("long "):rep(50), "a\tb\nc\27[2Jd\r\0\x80\xff\u{9b}", "\u{202e}\u{2028}turned" } do
      for columns = 2, 130 do
        for _, utf8 in ipairs { true, false } do
          lines[#lines + 1] = bars.line(numbers { title = title, failed = 10, retried = 3 }, columns, utf8)
          room[#lines] = columns - 1
        end
      end
    end
    for i, width in ipairs(columns_of(lines)) do
      assert.is_true(width <= room[i], lines[i])
      assert.is_nil(lines[i]:find("%c"))
    end
    assert.equal(#lines, #columns_of(lines))
  end)

  it("keeps title, part and count in twenty columns", function()
    assert.equal("squar  45% 450/1000", bars.line(numbers { title = "squar" }, 20, true))
    assert.equal("squares an  45%", bars.line(numbers { title = "squares and more" }, 20, true))
  end)
end)

describe("a bar's report", function()
  it("is one line of words", function()
    assert.equal("moonpool: 450/1000 (45%), 12.3/s, 0:45 left, 2 failed", bars.report(numbers { failed = 2 }))
    assert.equal("moonpool: 450 done, 12.3/s, 0:37", bars.report(numbers { total = false }))
  end)
end)

describe("times and rates", function()
  it("are short", function()
    local times = {}
    for i, s in ipairs { 0, 7.4, 59.6, 754, 3723, 5 * 86400 + 4 * 3600, math.huge } do
      times[i] = bars.time(s)
    end
    assert.same({ "0:00", "0:07", "1:00", "12:34", "1:02:03", "5d 04h", "-:--" }, times)
    assert.equal("-:--", bars.time(nil))
    local rates = {}
    for i, r in ipairs { 0, 0.001, 0.2, 1, 99.94, 250, 9999, 31400, 2.5e6 } do
      rates[i] = bars.rate(r)
    end
    assert.same({ "-/s", "3.6/h", "12.0/min", "1.0/s", "99.9/s", "250/s", "9999/s", "31.4k/s", "2.5M/s" }, rates)
  end)
end)

describe("the locale", function()
  it("is the environment's, and stays the program's", function()
    local body = [[
      local bars = debug.getregistry()["moonpool.require"] "moonpool.bars"
      io.write(os.setlocale(), " ", bars.line({ title = "漢字", done = 1, seconds = 0, failed = 0,
        retried = 0, busy = 0 }, 13, true), "\n")]]
    assert.equal("C 漢字 1 done\n", script.output(body, { under = "env LC_ALL=C" }))
  end)
end)
