-- A word count by reduce: each file becomes a table of counts, and tables are merged two by two,
-- in the workers first, so that only a few merged tables come back.
--
-- Usage: 10_word_count.lua [DIRECTORY], by default the licences that Debian keeps.

local mp = require "moonpool"

local directory = arg[1] or "/usr/share/common-licenses"

local function count_words(path)
  local counts = {}
  for line in io.lines(path) do
    for word in line:lower():gmatch("%a+") do
      counts[word] = (counts[word] or 0) + 1
    end
  end
  return counts
end

local function merge(a, b)
  for word, n in pairs(b) do
    a[word] = (a[word] or 0) + n
  end
  return a
end

local files = {}
local listing <close> = io.popen(("find '%s' -type f | sort"):format(directory))
for path in listing:lines() do
  files[#files + 1] = path
end

local pool <close> = mp.Pool()
local counts = pool:reduce(count_words, merge, files) or {}

local words, total = {}, 0
for word, n in pairs(counts) do
  words[#words + 1] = word
  total = total + n
end
table.sort(words, function(a, b)
  if counts[a] ~= counts[b] then
    return counts[a] > counts[b]
  end
  return a < b
end)

print(("%d files, %d words, %d different ones"):format(#files, total, #words))
for i = 1, math.min(10, #words) do
  print(("%6d  %s"):format(counts[words[i]], words[i]))
end
