local mp = require "moonpool"
local script = require "spec.support.script"

local PROGRAM = script.PROGRAMS.moonpool

describe("moonpool journal", function()
  local path

  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)

  after_each(function() os.remove(path) end)

  local function shell(command)
    local output, errors = os.tmpname(), os.tmpname()
    local _, _, code = os.execute(("%s >%s 2>%s </dev/null"):format(command, output, errors))
    local said, told = script.read(output), script.read(errors)
    os.remove(output)
    os.remove(errors)
    return said, told, code
  end

  local function moonpool(words) return shell(PROGRAM .. " " .. words) end

  local function run()
    local fail = error
    local pool <close> = mp.Pool(2)
    return pool:map(function(i)
      if i == 3 then fail("no luck,\nat all") end
      return { loss = i / 2, name = "n" .. i }
    end, mp.range(5), { journal = path, on_error = "collect", seed = 77 })
  end

  it("sums up what stands in a file", function()
    run()
    run()
    local said, told, code = moonpool("journal " .. path)
    assert.equal("", told)
    assert.equal(0, code)
    assert.truthy(said:find("map of .-spec/cli/journal_spec%.lua:%d+"), said)
    assert.truthy(said:find("4 done, 1 failed, 1 recorded again", 1, true), said)
    assert.truthy(said:find("runs +2"), said)
    assert.truthy(said:find("seed 77", 1, true), said)
    assert.truthy(said:find("item 3, attempt 1, worker %d+: task: .*no luck, at all"), said)
    assert.is_nil(said:find("damaged", 1, true))
  end)

  it("tells which lines of moonpool map have failed", function()
    shell(("(printf 'a\\nb\\n' | %s map -k --resume %s 'error(\"no \" .. line, 0)')"):format(PROGRAM, path))
    local said = moonpool("journal " .. path)
    assert.truthy(said:find("block 1, .-: task: line 1: no a\n"), said)
    assert.truthy(said:find("block 2, .-: task: line 2: no b\n"), said)
  end)

  it("names what moonpool map was given, and counts its blocks", function()
    shell(("(seq 3 | %s map -F , --resume %s 'n  *  2')"):format(PROGRAM, path))
    local said, told, code = moonpool("journal " .. path)
    assert.equal("", told)
    assert.equal(0, code)
    assert.equal(path .. ": moonpool map of n * 2\n", said:match "^[^\n]*\n")
    assert.truthy(said:find("\n  blocks    %d done, 0 failed\n"), said)
    assert.truthy(said:find("; a block .- the longest %(block %d%)\n"), said)
    assert.is_nil(said:find("item", 1, true), said)
  end)

  it("tells of damage", function()
    run()
    local file = io.open(path, "a")
    file:write("rubbish")
    file:close()
    assert.truthy(moonpool("journal " .. path):find("7 bytes belong to no record", 1, true))
  end)

  it("gives the last record of each item as rows", function()
    run()
    run()
    local said, told, code = moonpool("journal --csv " .. path)
    assert.equal("", told)
    assert.equal(0, code)
    local table_path = path .. ".csv"
    local file = io.open(table_path, "w")
    file:write(said)
    file:close()
    local rows = mp.load(table_path)
    os.remove(table_path)
    assert.equal(5, #rows)
    assert.equal(1.0, rows[2]["result.loss"])
    assert.equal("n2", rows[2]["result.name"])
    assert.equal("failed", rows[3].outcome)
    assert.truthy(rows[3].message:find("no luck,\nat all", 1, true))
    local lines = 0
    local json = moonpool("journal " .. path .. " --jsonl")
    for line in json:gmatch("[^\n]+") do
      lines = lines + 1
      assert.truthy(line:find('^{"args": "%x+"'))
    end
    assert.equal(5, lines)
  end)

  it("is read by Python's cbor2 in five lines", function()
    run()
    local program = path .. ".py"
    local file = io.open(program, "w")
    file:write(([[
import cbor2, os
with open("%s", "rb") as f:
    while f.tell() < os.path.getsize(f.name):
        size, checksum, body = cbor2.load(f)
        print(body.get("item"), body.get("result"), body.get("seed"))
]]):format(path))
    file:close()
    local said, told = shell("/usr/bin/python3 " .. program)
    os.remove(program)
    assert.equal("", told)
    local lines = {}
    for line in said:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal("None None 77", lines[1])
    assert.equal(lines[1], lines[2])
    table.sort(lines)
    assert.same({ "1 [{'loss': 0.5, 'name': 'n1'}] None", "2 [{'loss': 1.0, 'name': 'n2'}] None",
      "3 None None", "4 [{'loss': 2.0, 'name': 'n4'}] None", "5 [{'loss': 2.5, 'name': 'n5'}] None" },
      (function() for i, line in ipairs(lines) do lines[i] = line:gsub("'name': ('n%d'), 'loss': ([%d.]+)",
        "'loss': %2, 'name': %1") end return { table.unpack(lines, 1, 5) } end)())
  end)

  it("says that it cannot write", function()
    run()
    for _, form in ipairs { "", "--csv", "--jsonl" } do
      local _, _, code = os.execute(("%s journal %s %s >/dev/full 2>%s.errors"):format(PROGRAM, form, path, path))
      assert.equal(1, code)
      assert.truthy(script.read(path .. ".errors"):find("cannot write", 1, true))
    end
    os.remove(path .. ".errors")
    assert.equal("usage: moonpool journal [--csv | --jsonl] FILE\n", (moonpool("journal --help")))
  end)

  it("says what it cannot read", function()
    local _, told, code = moonpool("journal /nowhere/at/all")
    assert.equal(1, code)
    assert.truthy(told:find("cannot open the journal /nowhere/at/all", 1, true), told)
    _, told, code = moonpool("journal")
    assert.equal(1, code)
    assert.truthy(told:find("usage: moonpool journal", 1, true))
    _, told, code = moonpool("journal " .. PROGRAM)
    assert.equal(1, code)
    assert.truthy(told:find("is no journal", 1, true))
  end)
end)
