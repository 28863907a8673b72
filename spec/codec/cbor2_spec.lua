-- mp.dumps and mp.loads against another implementation: Debian's python3-cbor2.
local mp = require "moonpool"

local PYTHON = "/usr/bin/python3"

-- What the Python script prints for these bytes on its standard input.
local function python(script, input)
  local source, data = os.tmpname(), os.tmpname()
  for path, text in pairs { [source] = script, [data] = input } do
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
  end
  local pipe = assert(io.popen(("%s %s < %s 2>&1"):format(PYTHON, source, data)))
  local output = pipe:read "a"
  local ok = pipe:close()
  os.remove(source)
  os.remove(data)
  assert(ok, output)
  return output
end

local function python_repr(v)
  return (python([[
import sys, cbor2
v = cbor2.loads(sys.stdin.buffer.read())
print(repr(v), end="")
]], mp.dumps(v)))
end

-- The bytes that Python writes for an expression.
local function python_dumps(expression)
  local hex = python("import sys, cbor2, math\nfrom cbor2 import CBORTag, undefined\n"
    .. "def dumps(v, **k): return cbor2.dumps(v, **k)\n"
    .. "sys.stdout.write((" .. expression .. ").hex())\n", "")
  return (hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end

describe("what Moonpool writes, cbor2 reads", function()
  it("scalars", function()
    assert.equal("1", python_repr(1))
    assert.equal("-9223372036854775808", python_repr(math.mininteger))
    assert.equal("9223372036854775807", python_repr(math.maxinteger))
    assert.equal("1.0", python_repr(1.0))
    assert.equal("-0.0", python_repr(-0.0))
    assert.equal("inf", python_repr(math.huge))
    assert.equal("nan", python_repr(0 / 0))
    assert.equal("True", python_repr(true))
    assert.equal("None", python_repr(nil))
  end)

  it("text where it is text, bytes where it is not", function()
    assert.equal("'text \u{e9}'", python_repr("text \u{e9}"))
    assert.equal("b'\\xff\\x00'", python_repr("\255\0"))
    assert.equal("''", python_repr(""))
  end)

  it("tables", function()
    assert.equal("[1, 'b', [2.5]]", python_repr { 1, "b", { 2.5 } })
    assert.equal("{'a': {'b': [True]}}", python_repr { a = { b = { true } } })
    assert.equal("{2: 'x'}", python_repr { [2] = "x" })
    assert.equal("[]", python_repr {})
    local big = {}
    for i = 1, 1000 do big["k" .. i] = i end
    assert.equal("1000 500500", (python([[
import sys, cbor2
v = cbor2.loads(sys.stdin.buffer.read())
print(len(v), sum(v[f"k{i}"] for i in range(1, 1001)), end="")
]], mp.dumps(big))))
  end)

  it("typed arrays, as tags 86 and 79", function()
    local out = python([[
import sys, cbor2, struct
a = cbor2.loads(sys.stdin.buffer.read())
print(a[0].tag, struct.unpack("<5d", a[0].value), a[1].tag, struct.unpack("<8q", a[1].value), end="")
]], mp.dumps { { 0.5, 1.5, 2.5, 3.5, -1.0 }, { 1, 2, 3, 4, 5, 6, 7, -8 } })
    assert.equal("86 (0.5, 1.5, 2.5, 3.5, -1.0) 79 (1, 2, 3, 4, 5, 6, 7, -8)", out)
  end)

  it("shared and cyclic references", function()
    local shared = { 1 }
    local v = { shared, shared }
    v[3] = v
    assert.equal("True True", (python([[
import sys, cbor2
v = cbor2.loads(sys.stdin.buffer.read())
print(v[0] is v[1], v[2] is v, end="")
]], mp.dumps(v))))
  end)
end)

describe("what cbor2 writes, Moonpool reads", function()
  local function check(expected, expression)
    local bytes = python_dumps(expression)
    local v, position = mp.loads(bytes)
    assert.same(expected, v)
    assert.equal(math.type(expected), math.type(v))
    assert.equal(#bytes + 1, position)
  end

  it("scalars", function()
    check(0, "dumps(0)")
    check(-70000, "dumps(-70000)")
    check(math.mininteger, "dumps(-2**63)")
    check(1.5, "dumps(1.5)")
    check(1.5, "dumps(1.5, canonical=True)")
    check(1e-3, "dumps(1e-3, canonical=True)")
    check(true, "dumps(True)")
    check(nil, "dumps(None)")
    check(nil, "dumps(undefined)")
    check("\u{e9}", "dumps('\\u00e9')")
    check("\0\255", "dumps(b'\\x00\\xff')")
  end)

  it("containers", function()
    check({ 1, { 2, "x" }, {} }, "dumps([1, [2, 'x'], []])")
    check({ a = 1, b = { c = "d" }, [5] = false }, "dumps({'a': 1, 'b': {'c': 'd'}, 5: False})")
    check({ 1, 2 }, "dumps((1, 2))")
    local thousand = {}
    for i = 1, 1000 do thousand[i] = i % 3 == 0 and i * 0.5 or tostring(i) end
    check(thousand, "dumps([i * 0.5 if i % 3 == 0 else str(i) for i in range(1, 1001)])")
  end)

  it("tags", function()
    check("2013-03-21T20:04:00Z",
      "dumps(CBORTag(0, '2013-03-21T20:04:00Z'))")
    check({ 1.5, -2.5 }, "dumps(CBORTag(86, __import__('struct').pack('<2d', 1.5, -2.5)))")
    check({ 1, 65535 }, "dumps(CBORTag(65, b'\\x00\\x01\\xff\\xff'))")
  end)

  it("shared and cyclic references", function()
    local v = mp.loads(python_dumps(
      "(lambda a: (a.append(a), a.append([7]), a.append(a[1]), dumps(a, value_sharing=True))[3])([])"))
    assert.equal(v, v[1])
    assert.equal(v[2], v[3])
    assert.equal(7, v[2][1])
  end)

  it("but no integer beyond 64 bits", function()
    for _, expression in ipairs { "dumps(2**63)", "dumps(2**64)", "dumps(-2**63 - 1)", "dumps(-2**70)" } do
      local ok, err = pcall(mp.loads, python_dumps(expression))
      assert.is_false(ok)
      assert.equal("decode", err.kind)
    end
  end)
end)
