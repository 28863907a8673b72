-- The Mandelbrot set as a PNG file: one item a row, once in a plain loop and once in a pool.
--
-- Rows cost very different times. Nobody tells the pool so: it hands out many rows at a time
-- while there is much left, and single ones at the end.
--
-- Usage: 11_fractal.lua [FILE [WIDTH]]

local mp = require "moonpool"

local path, width = arg[1] or os.tmpname(), tonumber(arg[2]) or 360
local height = width * 3 // 4
local MOST = 250

-- How many steps it takes from (x, y) to leave the circle of radius 2, at most MOST.
local function escape(x, y)
  local a, b = 0, 0
  for n = 1, MOST do
    local aa, bb = a * a, b * b
    if aa + bb > 4 then
      return n
    end
    a, b = aa - bb + x, 2 * a * b + y
  end
  return MOST
end

-- A row of grey pixels, as bytes.
local function draw(row)
  local pixels = {}
  for column = 1, width do
    local n = escape(-2.1 + 2.8 * column / width, -1.05 + 2.1 * row / height)
    pixels[column] = string.char(n == MOST and 0 or 255 - (n * 9) % 200)
  end
  return table.concat(pixels)
end

-- ---- the file format: https://www.w3.org/TR/png, and RFC 1950 and 1951 for its data ----

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    c = c & 1 == 1 and 0xEDB88320 ~ (c >> 1) or c >> 1
  end
  crc_table[i] = c
end

local function crc32(bytes)
  local c = 0xFFFFFFFF
  for i = 1, #bytes do
    c = crc_table[(c ~ bytes:byte(i)) & 0xFF] ~ (c >> 8)
  end
  return c ~ 0xFFFFFFFF
end

local function adler32(bytes)
  local a, b = 1, 0
  for i = 1, #bytes do
    a = (a + bytes:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return b << 16 | a
end

local function chunk(kind, data)
  return string.pack(">I4", #data) .. kind .. data .. string.pack(">I4", crc32(kind .. data))
end

-- Blocks that are stored, not compressed.
local function zlib(bytes)
  local blocks = { "\x78\x01" }
  for at = 1, #bytes, 65535 do
    local part = bytes:sub(at, at + 65534)
    local last = at + 65535 > #bytes and 1 or 0
    blocks[#blocks + 1] = string.pack("<BI2I2", last, #part, ~#part & 0xFFFF) .. part
  end
  return table.concat(blocks) .. string.pack(">I4", adler32(bytes))
end

local function png(rows)
  local header = string.pack(">I4I4BBBBB", width, height, 8, 0, 0, 0, 0) -- 8 bits of grey
  return "\x89PNG\r\n\x1a\n" .. chunk("IHDR", header)
    .. chunk("IDAT", zlib("\0" .. table.concat(rows, "\0"))) .. chunk("IEND", "")
end

-- ---- both ways ----

local start = mp.monotonic()
local serial = {}
for row = 1, height do
  serial[row] = draw(row)
end
local serial_time = mp.monotonic() - start

local pool <close> = mp.Pool()
start = mp.monotonic()
local parallel = pool:map(draw, mp.range(height))
local parallel_time = mp.monotonic() - start

local file <close> = assert(io.open(path, "wb"))
file:write(png(parallel))

print(("%d x %d pixels in %s"):format(width, height, path))
print(("serial   %.3f s"):format(serial_time))
print(("parallel %.3f s with %d workers"):format(parallel_time, mp.process_cpu_count()))
print("same picture: " .. tostring(png(serial) == png(parallel)))
