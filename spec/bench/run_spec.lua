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

  it("compares counts of instructions with those recorded", function()
    local build = os.tmpname()
    os.remove(build)
    os.execute("mkdir -p " .. build .. "/spec/bench")
    local program = io.open(build .. "/spec/bench/bench_instructions", "w")
    program:write("#!/bin/sh\necho out of luck >&2; exit 4\n")
    program:close()
    os.execute("chmod +x " .. build .. "/spec/bench/bench_instructions")
    local pipe = io.popen(("MOONPOOL='%s' MOONPOOL_BUILD='%s' spec/bench/run i 2>&1"):format(
      os.getenv("MOONPOOL"), build))
    local text = pipe:read("a")
    local _, _, code = pipe:close()
    os.execute("rm -r " .. build)
    assert.equal(1, code, text)
    assert.matches("bench: [^\n]*exit status %d", text)
  end)

  it("names the workloads for one that is not known", function()
    local text, code = run(os.getenv("MOONPOOL"), "w99")
    assert.equal(2, code)
    assert.matches("no workload w99; there are W1, W2a, .*T1, T2, P1, P2, P3, P4, P5, B, I", text)
  end)
end)

-- Rates of engines by length, as the script itself would have measured them.
local function of_curve(code)
  local pipe = io.popen(("cd spec/bench && python3 -B - 2>&1 <<'END'\n%s\nEND"):format([[
import importlib.machinery, importlib.util, sys
loader = importlib.machinery.SourceFileLoader("curve", "curve")
curve = importlib.util.module_from_spec(importlib.util.spec_from_loader("curve", loader))
loader.exec_module(curve)
]] .. code))
  local text = pipe:read("a")
  pipe:close()
  return text
end

describe("spec/bench/curve", function()
  it("finds where a pool overtakes the loop", function()
    assert.equal("1.0\n", of_curve([[
points = [(0.5, {"loop": 2, "pool": 1}), (1, {"loop": 1, "pool": 1}), (2, {"loop": 0.5, "pool": 1})]
print(round(curve.break_even(points, "pool", "loop"), 6))]]))
    assert.equal("1.414214\n", of_curve([[
points = [(1, {"loop": 1, "pool": 0.5}), (2, {"loop": 0.5, "pool": 1})]
print(round(curve.break_even(points, "pool", "loop"), 6))]]))
  end)

  it("tells none where it is slower to the end, the least where it never is", function()
    assert.equal("None 4.0\n", of_curve([[
points = [(4, {"loop": 0.25, "pool": 0.2, "fast": 0.5}), (8, {"loop": 0.125, "pool": 0.1, "fast": 0.25})]
print(curve.break_even(points, "pool", "loop"), curve.break_even(points, "fast", "loop"))]]))
  end)

  it("draws every engine", function()
    local text = of_curve([[
points = [(l, {e: 1 / l for e in curve.COLOURS}) for l in curve.LENGTHS]
print(curve.svg(points))]])
    local _, paths = text:gsub('stroke%-width="2"', "")
    assert.equal(4, paths)
    assert.matches("^<svg .*</svg>%s*$", text)
  end)
end)

describe("spec/bench/growth", function()
  it("tells of each size", function()
    local pipe = io.popen(("MOONPOOL='%s' spec/bench/growth --runs 1 workers 2>&1"):format(
      "spec/bench/stand_in"))
    local text = pipe:read("a")
    pipe:close()
    assert.matches("cannot run spec/bench/stand_in", text)
    standing_in("echo item=0.000002 over=0.5 checksum=1", function(program)
      pipe = io.popen(("MOONPOOL='%s' spec/bench/growth --runs 1 items workers 2>&1"):format(program))
      text = pipe:read("a")
      pipe:close()
    end)
    assert.matches("\n +10,000,000 +2.000 us an item\n", text)
    assert.matches("\n +512 +500.00 ms more than 100 ms", text)
  end)
end)
