// Property tests draw the same cases in every run, so that a change is judged by itself; HUACAYA_TEST_SEED=n draws others.
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.HUACAYA_TEST_SEED ?? 20261124) });
