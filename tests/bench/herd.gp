# Draws what `herd --curves DIR` wrote: gnuplot -e "dir='DIR'" tests/bench/herd.gp > herd.png
set terminal pngcairo size 1100,1000 font "sans,11"
set multiplot layout 3,1 title "1,000,000 clients after ten minutes without a server" font ",14"
set grid
set key outside right top
set xrange [-60:900]
set style line 1 lc rgb "#0a7d32" lw 2
set style line 2 lc rgb "#c02020" lw 1
set style line 3 lc rgb "#c08a00" lw 1
set style line 4 lc rgb "#4060c0" lw 1
names = "full-jitter exponential fixed-30s fixed-30s-spread"
file(scenario, n) = dir."/".scenario."-".word(names, n).".data"

set logscale y
set yrange [100:2000000]
set format y "%.0f"
set ylabel "attempts a second"
set title "The server takes all who come"
plot for [n in "2 3 4 1"] file("open", n+0) using 1:($2 > 0 ? $2 : NaN) \
	with impulses ls n+0 title word(names, n+0), 3333 with lines lc rgb "black" dt 2 title "even share"

set title "The server begins 5,000 sessions a second and refuses the others"
plot for [n in "2 3 4 1"] file("limited", n+0) using 1:($2 > 0 ? $2 : NaN) \
	with impulses ls n+0 title word(names, n+0), 5000 with lines lc rgb "black" dt 2 title "capacity"

unset logscale y
set yrange [0:105]
set format y "%.0f %%"
set ylabel "clients back"
set xlabel "seconds since the server came back"
set title "The same server: who is back"
plot for [n in "2 3 4 1"] file("limited", n+0) using 1:($3 / 10000.0) \
	with lines ls n+0 title word(names, n+0)
unset multiplot
