local script = require "spec.support.script"

local PROGRAM = script.PROGRAMS.moonpool

describe("moonpool replay", function()
  local path, source, ran

  local TEXT = [[
    local mp = require "moonpool"
    local path, ran = table.unpack(arg)
    local function inner(params)
      local drawn = math.random(1 << 30)
      if params.lr == 3 then error("diverged " .. drawn) end
      return drawn
    end
    local function train(params, more)
      local file = io.open(ran, "a")
      file:write(params.lr, "\n")
      file:close()
      local task = mp.task()
      local before = task:saved()
      task:save { at = params.lr }
      task:progress(0.5)
      return inner(params), more, before and before.at, task.index
    end
    local pool <close> = mp.Pool(2)
    local items = function()
      local i = 0
      return function() i = i + 1 if i <= 5 then return { lr = i }, "more" end end
    end
    local results = pool:starmap(train, items(), { journal = path, on_error = "collect", pack = true })
    for i = 1, results.n do
      if results[i] then print(i, table.unpack(results[i], 1, 2)) else print(results.errors[i].message) end
    end
  ]]

  before_each(function()
    path, source, ran = os.tmpname(), os.tmpname(), os.tmpname()
    os.remove(path)
    local file = io.open(source, "w")
    file:write(TEXT)
    file:close()
  end)

  after_each(function()
    for _, name in ipairs { path, source, ran } do os.remove(name) end
  end)

  local function moonpool(words)
    local output, errors = os.tmpname(), os.tmpname()
    local _, _, code = os.execute(("%s %s >%s 2>%s </dev/null"):format(PROGRAM, words, output, errors))
    local said, told = script.read(output), script.read(errors)
    os.remove(output)
    os.remove(errors)
    return said, told, code
  end

  it("fails as the item has failed, with its own traceback and random numbers", function()
    local said = moonpool(("%s %s %s"):format(source, path, ran))
    local message = said:match("diverged %d+")
    io.open(ran, "w"):close()
    local again, told, code = moonpool(("replay %s 3 %s %s %s"):format(path, source, path, ran))
    assert.equal("", again)
    assert.equal(1, code)
    assert.truthy(told:find("it fails: .-" .. message), told)
    assert.truthy(told:find("had failed", 1, true))
    assert.truthy(told:find("in .-inner"))
    assert.is_nil(told:find("not those that were recorded", 1, true))
    assert.equal("3\n", script.read(ran))
  end)

  it("gives what another item has given", function()
    local said = moonpool(("%s %s %s"):format(source, path, ran))
    local drawn = said:match("2\t(%d+)\tmore")
    local _, told, code = moonpool(("replay %s 2 %s %s %s"):format(path, source, path, ran))
    assert.equal(0, code)
    assert.truthy(told:find(('it returns %s, "more", nil, 2'):format(drawn), 1, true), told)
  end)

  it("says where there is no such call or item, and how it is called", function()
    moonpool(("%s %s %s"):format(source, path, ran))
    local _, told, code = moonpool(("replay %s 9 %s %s %s"):format(path, source, path, ran))
    assert.equal(1, code)
    assert.equal("moonpool replay: starmap has no item 9\n", told)
    assert.equal(5, select(2, script.read(ran):gsub("\n", "")), "nothing ran")
    _, told, code = moonpool(("replay %s 1 %s %s %s"):format(source, source, path, ran))
    assert.equal(1, code)
    assert.truthy(told:find("is no journal", 1, true), told)
    assert.equal(5, select(2, script.read(ran):gsub("\n", "")), "nothing ran")
    local other = os.tmpname()
    _, told, code = moonpool(("replay %s 2 %s"):format(path, other))
    assert.equal(1, code)
    assert.truthy(told:find("made no call that has the journal", 1, true), told)
    os.remove(other)
    for _, words in ipairs { "", " 0x2 " .. source, " 2.0 " .. source, " 0 " .. source } do
      _, told, code = moonpool("replay " .. path .. words)
      assert.equal(1, code)
      assert.truthy(told:find("^usage: moonpool replay"), told)
    end
    assert.truthy(moonpool("replay --help"):find("^moonpool replay FILE INDEX"))
    _, told, code = moonpool(("replay /nowhere/x 2 %s"):format(source))
    assert.equal(1, code)
    assert.truthy(told:find("/nowhere/x", 1, true))
  end)

  it("says in a line that it cannot load the script", function()
    moonpool(("%s %s %s"):format(source, path, ran))
    local _, told, code = moonpool(("replay %s 2 /nowhere/script.lua"):format(path))
    assert.truthy(told:find("^moonpool: cannot open /nowhere/script.lua[^\n]*\n$"), told)
    assert.equal(1, code)
    local file = io.open(source, "w")
    file:write "local x = = 1\n"
    file:close()
    _, told, code = moonpool(("replay %s 2 %s"):format(path, source))
    assert.truthy(told:find("^moonpool: [^\n]+:1: unexpected symbol near '='\n$"), told)
    assert.equal(1, code)
  end)

  it("says that an item has changed since", function()
    moonpool(("%s %s %s"):format(source, path, ran))
    local file = io.open(source, "w")
    file:write((TEXT:gsub("lr = i }", "lr = i * 10 }")))
    file:close()
    local _, told, code = moonpool(("replay %s 3 %s %s %s"):format(path, source, path, ran))
    assert.equal(0, code)
    assert.truthy(told:find("not those that were recorded", 1, true), told)
  end)
end)
