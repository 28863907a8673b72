local example = require "spec.examples.example"

local CHECK = [[
import struct, sys, zlib
b = open(sys.argv[1], 'rb').read()
assert b[:8] == b'\x89PNG\r\n\x1a\n'
at, data = 8, b''
while at < len(b):
    n, kind = struct.unpack('>I4s', b[at:at + 8])
    body = b[at + 8:at + 8 + n]
    assert struct.unpack('>I', b[at + 8 + n:at + 12 + n])[0] == zlib.crc32(kind + body)
    if kind == b'IHDR': size = struct.unpack('>II', body[:8])
    if kind == b'IDAT': data += body
    at += 12 + n
rows = zlib.decompress(data)
print(size[0], size[1], len(rows) == (size[0] + 1) * size[1], len(set(rows)) > 10)
]]

describe("examples/11_fractal", function()
  it("writes the same picture either way, and one that others can read", function()
    local path, script = os.tmpname(), os.tmpname()
    local output = example.output("11_fractal", path .. " 120")
    assert.matches("^120 x 90 pixels in ", output)
    assert.matches("same picture: true\n$", output)
    local file = assert(io.open(script, "w"))
    file:write(CHECK)
    file:close()
    local said = io.popen(("/usr/bin/python3 %s %s"):format(script, path))
    assert.equal("120 90 True True\n", said:read("a"))
    said:close()
    os.remove(path)
    os.remove(script)
  end)
end)
