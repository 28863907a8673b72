-- mp.dumps and mp.loads as scripts see them.
local mp = require "moonpool"

local function failure(...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  return err
end

describe("mp.dumps and mp.loads", function()
  it("give a value back, and the position behind it", function()
    local bytes = mp.dumps { 1, "two", { three = 3.0 } }
    local v, position = mp.loads(bytes)
    assert.same({ 1, "two", { three = 3.0 } }, v)
    assert.equal("float", math.type(v[3].three))
    assert.equal(#bytes + 1, position)
  end)

  it("read a sequence, value by value", function()
    local bytes = mp.dumps(1) .. mp.dumps("b") .. mp.dumps { 3 }
    local position, all = 1, {}
    while position <= #bytes do
      local v, behind = mp.loads(bytes, { position = position })
      all[#all + 1], position = v, behind
    end
    assert.same({ 1, "b", { 3 } }, all)
  end)

  it("neither write nor read functions unless asked", function()
    local f = function(x) return x + 1 end
    local err = failure(mp.dumps, { call = f })
    assert.equal("encode", err.kind)
    assert.equal("value.call", err.path)
    local bytes = mp.dumps(f, { functions = true })
    assert.equal("decode", failure(mp.loads, bytes).kind)
    local g = mp.loads(bytes, { functions = true })
    assert.equal(3, g(2))
    assert.equal("encode", failure(mp.dumps, io.stdout).kind)
    assert.equal(io.stdout, (mp.loads(mp.dumps(io.stdout, { functions = true }), { functions = true })))
  end)

  it("say what is damaged and where", function()
    local err = failure(mp.loads, mp.dumps({ 1, { 2, "three" } }):sub(1, -2))
    assert.equal("decode", err.kind)
    assert.equal("value[2][2]", err.path)
    assert.matches("cut short at byte 5", tostring(err), 1, true)
    assert.equal("decode", failure(mp.loads, "").kind)
  end)

  it("say which value cannot be written", function()
    local err = failure(mp.dumps, { list = { 1, coroutine.create(print) } })
    assert.equal("encode", err.kind)
    assert.equal("value.list[2]", err.path)
    assert.matches("cannot send a thread", tostring(err), 1, true)
  end)
end)
