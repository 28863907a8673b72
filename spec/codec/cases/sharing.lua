-- Shared and cyclic references, by tags 28 and 29.
local t = ...
local enc, dec, hex, bytes = t.enc, t.dec, t.hex, t.bytes

t.case("a table met twice is one table on the other side", function()
  local a = { 1 }
  local u = dec("", enc("", { a, a, k = { a } }))
  assert(u[1] == u[2] and u.k[1] == u[1] and u[1][1] == 1)
end)

t.case("identity holds across the values of one call", function()
  local a = { 1 }
  local x, y, z = dec("", enc("", a, 5, { a }))
  assert(x == z[1] and y == 5)
end)

t.case("what is met once costs no tag", function()
  assert(hex(enc("", { { 1 }, { 1 } })) == "8281018101")
  assert(hex(enc("", { { 1 } })) == "818101")
end)

t.case("the number is given before the content", function()
  local a = {}
  assert(hex(enc("", { a, a })) == "d81c82d81c80d81d01")
  a[1] = a
  assert(hex(enc("", a)) == "d81c81d81d00")
end)

t.case("cycles", function()
  local a = {}
  a.self, a[1] = a, { a }
  local u = dec("", enc("", a))
  assert(u.self == u and u[1][1] == u)
  local b, c = { n = "b" }, { n = "c" }
  b.next, c.next = c, b
  u = dec("", enc("", b))
  assert(u.next.next == u and u.next.n == "c")
end)

t.case("a table that is its own key", function()
  local a = {}
  a[a] = a
  local u = dec("", enc("", a))
  assert(u[u] == u)
  local b = { {} }
  b[b[1]] = "v"
  u = dec("", enc("", b))
  assert(u[u[1]] == "v")
end)

t.case("a graph of many nodes, each met several times", function()
  local nodes = {}
  for i = 1, 2000 do nodes[i] = { id = i } end
  for i = 1, 2000 do
    nodes[i].next, nodes[i].far, nodes[i][1] = nodes[i % 2000 + 1], nodes[i * 7 % 2000 + 1], { nodes[i] }
  end
  local u = dec("", enc("", nodes))
  for i = 1, 2000 do
    assert(u[i].id == i and u[i].next == u[i % 2000 + 1] and u[i].far == u[i * 7 % 2000 + 1] and u[i][1][1] == u[i])
  end
end)

t.case("shared typed arrays and empty tables", function()
  local floats, empty = { 0.5, 1.5, 2.5, 3.5 }, {}
  local u = dec("", enc("", { floats, empty, floats, empty }))
  assert(u[1] == u[3] and u[2] == u[4] and u[1][4] == 3.5)
end)

t.case("shared values of other writers: strings, several numbers for one value", function()
  local u = dec("", bytes "83d81c6161d81d0001")
  assert(u[1] == "a" and u[2] == "a" and u[3] == 1)
  u = dec("", bytes "83d81cd81c8101d81d00d81d01")
  assert(u[1] == u[2] and u[2] == u[3] and u[1][1] == 1)
  u = dec("", bytes "82d81cc18101d81d00")
  assert(u[1] == u[2])
end)

t.case("the third value of a call may refer to the first, whatever lies between", function()
  local a, long = { 1 }, {}
  for i = 1, 1000 do long[i] = { i } end
  local x, l, y, z = dec("", enc("", a, long, a, { a }))
  assert(x == y and z[1] == x and l[1000][1] == 1000)
end)
