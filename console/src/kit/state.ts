/** What several parts of the page share: who is signed in, their organisations, the organisation that is looked at. */
import { get } from './api';
import { live } from './live';
import type { Glance, Me, Organisation, Overview } from './types';

type Told = () => void;

class Shared {
  me: Me | null = null;
  organisations: Organisation[] = [];
  overview: Overview | null = null;
  private told = new Set<Told>();
  private asked = '';
  private pending = 0;

  /** Who is signed in. Throws when nobody answers. */
  async begin(): Promise<void> {
    [this.me, this.organisations] = await Promise.all([
      get<Me>('/v2/self'),
      get<Organisation[]>('/v2/organisations'),
    ]);
    live.listen(change => {
      if (
        change === 'back' ||
        change.ownerId === this.overview?.id ||
        change.name.startsWith('governance.')
      ) {
        window.clearTimeout(this.pending);
        this.pending = window.setTimeout(() => void this.again(change), 120);
      }
    });
    this.tell();
  }

  /** The organisation with its apps; asked for once, then kept up to date. */
  async of(ownerId: string): Promise<Overview> {
    if (this.asked === ownerId && this.overview) return this.overview;
    const found = await get<Overview>(`/v2/organisations/${ownerId}/overview`);
    this.asked = ownerId;
    this.overview = found;
    this.tell();
    return found;
  }

  async fresh(ownerId: string): Promise<Overview> {
    this.asked = '';
    return this.of(ownerId);
  }

  app(id: string): Glance | undefined {
    return this.overview?.applications.find(each => each.id === id);
  }

  can(right: string): boolean {
    return this.overview?.can.includes(right) ?? false;
  }

  onChange(told: Told): () => void {
    this.told.add(told);
    return () => this.told.delete(told);
  }

  private async again(change: unknown): Promise<void> {
    try {
      if (change === 'back' || String((change as { name: string }).name).startsWith('governance.')) {
        this.organisations = await get<Organisation[]>('/v2/organisations');
      }
      if (this.asked) this.overview = await get<Overview>(`/v2/organisations/${this.asked}/overview`);
    } catch {
      return; // whoever shows it says so
    }
    this.tell();
  }

  private tell(): void {
    this.told.forEach(each => each());
  }
}

export const shared = new Shared();
