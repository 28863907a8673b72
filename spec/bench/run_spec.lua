-- The bench's own judgement, on the workload that takes least time. What stands in for the program
-- here prints what the test wants.
local function standing_in(line, test)
  local program = os.tmpname()
  local file = assert(io.open(program, "w"))
  file:write("#!/bin/sh\n[ \"$1\" = -v ] && echo a stand-in && exit\n" .. line .. "\n")
  file:close()
  os.execute("chmod +x " .. program)
  test(program)
  os.remove(program)
end

local function run(program, arguments)
  local pipe = io.popen(("MOONPOOL='%s' spec/bench/run --runs 1 %s 2>&1"):format(program, arguments))
  local text = pipe:read("a")
  local _, _, code = pipe:close()
  return text, code
end

describe("spec/bench/run", function()
  it("compares the program with CPython's pool", function()
    local text, code = run(os.getenv("MOONPOOL"), "w4")
    assert.equal(0, code, text)
    assert.matches("W4 +make a pool, one task, close, join: of 2 +Moonpool +[%d.]+ .* ms/pool", text)
    assert.matches("\n +mp.Pool +[%d.]+ .* ms/pool +[%d.]+ +<= 0.15 +%a+\n", text)
  end)

  it("judges by the bar", function()
    standing_in("echo two=0.000001 eight=100 checksum=5740", function(program)
      local text, code = run(program, "--csv w4")
      assert.equal(0, code, text)
      assert.matches("of 2\",mp.Pool,[^\n]*,0.15,True\n", text)
      assert.matches("of 8\",mp.Pool,[^\n]*,0.15,False\n", text)
    end)
  end)

  it("fails where results differ", function()
    standing_in("echo two=1 eight=1 checksum=5741", function(program)
      local text, code = run(program, "w4")
      assert.equal(1, code)
      assert.matches("W4: the results differ", text)
    end)
  end)

  it("fails where a program fails, with its words", function()
    standing_in("echo out of luck >&2; exit 3", function(program)
      local text, code = run(program, "w4")
      assert.equal(1, code)
      assert.matches("exit status 3\nout of luck", text)
    end)
  end)
end)
